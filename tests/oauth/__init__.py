"""OAuth without I/O."""
