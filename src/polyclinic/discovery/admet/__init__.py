"""Absorption, distribution, metabolism, excretion and toxicity: 41 endpoints by ten networks."""
