"""Trusts: which identity tokens of other systems, e.g. of CI workflows, may mint servers, and within which limits."""
