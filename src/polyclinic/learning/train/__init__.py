"""Step 3: minimise a loss, resumable and seeded."""
