"""Engines that keep the records of sessions outside the process."""
