"""What makes a score an answer: calibration, conformal sets, familiarity, operating points."""
