"""Step 1: data sets, the quality gate, splits and the catalogue of open data."""
