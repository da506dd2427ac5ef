"""Treatments by their benefit, learnt from a trial or from what was observed."""
