"""Texts as tokens: numbers of a vocabulary, in their order."""
