"""The networks: molecules as graphs, messages computed once a class, answers of the ensemble."""
