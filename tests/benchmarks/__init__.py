"""Measurements. They print figures and never fail on a slow machine; nothing here is part of the test suite."""
