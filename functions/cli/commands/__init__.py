"""One file per command. Each has `add`, which declares the options, and the function that runs the command."""
