"""An engine whose records are in SQLite."""
