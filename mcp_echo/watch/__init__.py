"""The one point that everything on the wire passes, and those who are told there: the counts, the log."""
