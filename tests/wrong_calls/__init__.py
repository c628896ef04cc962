"""Calls as models really write them, wrong in typical ways, and what the answer to each is worth."""
