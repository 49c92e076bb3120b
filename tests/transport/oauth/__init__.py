"""OAuth over HTTP, in memory."""
