"""The event log on Postgres: append, load, snapshot, number, follow, verify.

Lives here: everything that touches the log's tables, and `handle`, the path of a command from loaded states to a
committed append. Does not live here: what events mean. An event is a type, a schema version and JSON.
"""
