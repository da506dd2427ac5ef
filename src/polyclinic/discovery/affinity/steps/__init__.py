"""The five steps: prepare, build, train, evaluate, serve."""
