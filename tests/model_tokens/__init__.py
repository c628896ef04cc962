"""Texts with their true number of tokens, for estimates that are made without a vocabulary."""
