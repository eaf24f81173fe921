"""What an operator runs: verify that the promises hold, and repair what a fault or a hand has broken."""
