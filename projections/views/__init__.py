"""One module per view: its tables, the events it wants, and a pure fold of a batch into a few statements.

No clock and no reading of the database in here: what depends on earlier rows is said in SQL. The content must be
the same however the log is cut into batches; tests/integration/test_projection_content.py cuts at random.
"""
