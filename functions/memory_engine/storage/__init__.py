"""The engine file: opening it, its tables, its word index, and the owner's copy of it."""
