"""Side by side measurements, each a command of its own that prints its table."""
