"""Networks that score treatments, in torch: for training alone."""
