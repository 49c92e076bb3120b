"""Figures for Prometheus, and their port."""
