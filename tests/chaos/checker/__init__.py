"""The bank checker: counts everything anew, from the raw log, with arithmetic of its own.

`books` is the independent model of what the log says, `live` compares every read of the views with it while the
faults go on, `sessions` reads as a client does, and `final` holds the clients' history against the log at the end.
"""
