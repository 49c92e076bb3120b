"""Misbehaviour on order: which faults there are, what is ordered, and what an order does. No I/O."""
