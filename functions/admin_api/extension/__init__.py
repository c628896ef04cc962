"""The browser extension that fills a memory from chats: its source, and the archive that the management API serves."""
