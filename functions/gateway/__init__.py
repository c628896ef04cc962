"""What both planes share, one file per decision.

Rule of the room: imports the values of a catalogue (`tool_catalog.catalog` and `request_template`), the store contract
(`stores.store`, `stores.layout`) and itself; never a plane, never a store implementation. At import time nothing
heavier than the standard library: certifi, jsonschema-rs, jmespath and PyNaCl are imported by the call that needs them,
because a listing needs none of them.
"""
