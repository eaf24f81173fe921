"""Faults thrown at the whole system under load, while a bank checker watches: `python -m tests.chaos`.

`schedule` decides from the seed what goes wrong and when, `nemesis` and `faults` do it to a `cluster` of real
processes behind `proxy`, `clients` move money and write down in `history` what they were told, and `checker`
knows none of the product's own arithmetic. See docs/chaos.md.
"""
