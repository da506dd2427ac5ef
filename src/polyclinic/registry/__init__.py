"""Immutable, signed model versions with aliases, cards and evaluations."""
