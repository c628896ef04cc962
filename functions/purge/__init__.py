"""The target of one-time schedules: removes a server that has expired.

Rule of the room: imports `gateway` and `stores`; neither plane.
"""
