"""What schedules start: an expired server is removed, and the webhook of the deployment hears of what ends.

Rule of the room: imports `gateway`, `stores`, the stored forms of a server and of an account, and how AWS is called;
nothing else of either plane. The laptop runs `notices` and `webhook` in its own process.
"""
