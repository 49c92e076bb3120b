"""The revisions with a handshake and sessions."""
