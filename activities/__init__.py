"""Thin steps between Temporal and the event store: load streams, let the domain decide, append. No rules here."""
