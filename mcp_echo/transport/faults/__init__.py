"""Faults over HTTP: the one seam before requests are answered, and the one that answers go through."""
