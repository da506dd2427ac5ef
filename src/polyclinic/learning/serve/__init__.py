"""Step 5: export a trained model and run it without torch."""
