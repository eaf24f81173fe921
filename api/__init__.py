"""Tidemark over HTTP: thin routes over `commands` and `queries`, and what stands around them.

`edge` is the outer wall (limits, keys, time limits, logs, metrics), `call` what a route has at hand, `routes/` one
module per resource, `problems` every error as an RFC 9457 answer. No rule about money lives here.
"""
