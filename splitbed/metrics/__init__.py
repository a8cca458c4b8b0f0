"""The metrics of clause 6: how good results are."""
