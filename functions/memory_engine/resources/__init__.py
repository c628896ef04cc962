"""What the HTTP API serves, one file per subject. A function here checks one request and returns Mem0's answer."""
