"""Readers of files of molecules: each streams records, and holds one at a time."""
