"""Read views: events go in, tables that answer questions come out, each with a checkpoint that commits with it.

`views/` holds one module per view, `catalogue` is the list of them; everything else here is the engine: batches,
checkpoints, parking of poison events, leadership, rebuild, comparison. `queries` answers from what is made here.
"""
