"""Faults planted into the decisions that guard a call, and the tests that should notice: `make mutants`.

`faults.py` knows what can be wrong in a line of code, `trial.py` runs tests with one such fault, and `__main__.py` has
the subjects and the report. `accepted.yaml` lists the faults that no test notices, each with its reason.
"""
