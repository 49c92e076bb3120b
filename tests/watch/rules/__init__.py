"""Each rule with what breaks it and what keeps it."""
