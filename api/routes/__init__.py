"""One module per resource. A route reads its input, asks one command or query, and says what came of it."""
