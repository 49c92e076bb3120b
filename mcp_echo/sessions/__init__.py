"""Sessions and what bounds them, in the memory of this process."""
