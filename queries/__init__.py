"""The read side: typed questions and answers over the views (`read.*`) and their lag. Changes nothing.

`catalogue` is the index of all questions; `reader.Reader` asks them. `projections` makes what is asked here.
Amounts in answers are decimal strings in the currency's own decimals; times are UTC.
"""
