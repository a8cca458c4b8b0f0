"""Metrics of language (clause 6)."""
