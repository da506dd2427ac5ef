"""From the published package to a model version: read, converted, checked, registered."""
