"""The function that one-time schedules start: it removes a server that has expired.

Rule of the room: imports `gateway` and `stores`; neither plane.
"""
