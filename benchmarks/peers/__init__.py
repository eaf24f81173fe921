"""The other sides of each comparison, each a program as its own users would write it. Nothing here imports ours:
DBOS and `eventsourcing` run in a virtual environment of their own (`.venv-bench`), with their own dependencies.
"""
