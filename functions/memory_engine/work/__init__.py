"""What changes memories, and what happens in the background: adds, deletions, exports, profiles, webhook deliveries."""
