"""Approvals: a person looks at a call that waits for one, and approves it."""
