"""The function that one-time schedules start: it removes a server that has expired.

Rule of the room: imports `gateway`, `stores` and the stored form of a server; nothing else of either plane.
"""
