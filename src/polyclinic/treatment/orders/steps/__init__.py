"""The five steps of a model of past orders."""
