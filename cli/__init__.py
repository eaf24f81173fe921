"""The command line's pieces: one module per group of commands, `session` for what they need, `output` for how
they speak. `starter.py` puts them together."""
