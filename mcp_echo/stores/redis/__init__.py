"""An engine whose records are in Redis."""
