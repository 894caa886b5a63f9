"""The panel of the evaluation module: its parameters and its parts."""
