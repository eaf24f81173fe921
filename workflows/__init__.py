"""The lives of payments and transfers, as Temporal runs them: deterministic, no I/O, no money arithmetic.

Each step is an activity with a key of its own; what may happen next is read off the status it returns, so that a
workflow that is run again (a repair after a termination) finds its way from wherever the events say it is.
"""
