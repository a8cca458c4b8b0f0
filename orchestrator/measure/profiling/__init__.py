"""Profiles of nodes: what each is to run, and what it took."""
