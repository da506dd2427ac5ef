"""Treatments by how they did in other patients who have scores in common."""
