"""The revision in which every request stands alone."""
