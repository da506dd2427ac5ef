"""What a model of affinity reads: molecules, proteins, and the pairs that were measured."""
