"""Several processes that serve on one port, and the parent that holds it for them."""
