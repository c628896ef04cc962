"""The integrations of this deployment: which APIs can be connected."""
