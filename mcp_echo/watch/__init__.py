"""What is noted of the requests that pass."""
