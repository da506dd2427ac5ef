"""The shared vocabulary: predictions, codings, errors, settings, storage."""
