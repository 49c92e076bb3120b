"""What people read: that it is true, can be pasted, and is said once."""
