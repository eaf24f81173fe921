"""What Tidemark may do with money, as pure functions.

One module per aggregate (account, payment, transfer) holds its commands, events, state, `decide` and `evolve`;
`legs` puts several aggregates into one atomic append. No clock, no I/O, no randomness: time and ids arrive in
the command. Imports the standard library and pydantic alone.
"""
