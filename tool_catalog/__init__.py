"""What an agent may call, and how that is made: documentation records in, frozen catalogues out.

Rule of the room: of `functions` it imports a few modules of `gateway` that decide what the data plane does as well,
e.g. `wording`. `functions` may import `catalog.py`, `request_template.py` and `compiled_file.py`, and `functions.local`
also `folders` and `live`. Those three import one another and `gateway.value_classes`, and nothing else of ours.
"""
