"""What Tidemark may do with money and shares, as pure functions.

One module per aggregate (account, payment, transfer, order, book, trade) holds its state, `decide` and `evolve`,
and one beside it its commands and events; `leg` and the modules `…_legs` put several into one atomic append. No
clock, no I/O, no randomness: time and ids arrive in the command. Imports the standard library and pydantic alone.
"""
