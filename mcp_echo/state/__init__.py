"""What the server remembers between requests: sessions and their event logs. No I/O."""
