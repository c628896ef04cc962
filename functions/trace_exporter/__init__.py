"""Sends the spans that requests wrote to the log: a function of its own in a deployment, a thread on a laptop.

Rule of the room: imports `gateway` and, for the event of a subscription, `log_subscriber.deliveries`; nothing of either
plane but how the control plane calls AWS, for one secret. It reads and writes no store.
"""
