"""Step 4: held-out metrics with confidence intervals, calibration and subgroups."""
