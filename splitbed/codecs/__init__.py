"""Codecs of intermediate data (clause 5.1's test encoder and decoder), by name."""
