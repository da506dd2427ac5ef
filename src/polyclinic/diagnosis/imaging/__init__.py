"""Pictures to findings."""
