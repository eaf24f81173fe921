"""The scenario that `starter.py demo` plays: who takes part (`cast`), how each kind of act is played (`payments`,
`transfers`, `trading`), which acts make up a run (`script`), a payment file of its own (`payfile`), another bank
(`bank`).

Every act says beforehand how it must end (`acts`); whoever plays them compares. Printing is cli/demo.py's.
"""
