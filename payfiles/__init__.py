"""Payment files: from a file somebody sends to a typed, checked list of credit transfer instructions, and back.

Reads ISO 20022 pain.001 (versions 03 and 09, and the Swiss variant of 03) and CSV. Either the whole file is right
or nothing of it is used. Lives here: the formats and their checks. Does not: accounts, events, workflows.

Start at `read.read_payment_file`; the result is `model.PaymentFile`; what is refused is `errors.PaymentFileError`.
"""
