"""The diagnostic tools. A new one is one entry in a family's module and one line in `catalogue`."""
