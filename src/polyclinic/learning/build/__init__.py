"""Step 2: choose and initialise a model."""
