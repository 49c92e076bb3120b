"""What clients, gateways and browsers are held to: one table of pure rules."""
