"""The function that CloudWatch Logs starts with the lines of the data plane: it puts the log entries into the table.

Rule of the room: imports `gateway.log_entry`, `gateway.metrics`, `gateway.settings` and what these need, and `stores`;
nothing of either plane.
"""
