"""What runs: the data plane, the control plane, what both share, and the laptop entry that joins them."""
