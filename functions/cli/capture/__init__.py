"""Agents that run a command after each turn, and what that command keeps of the turn until it is sent."""
