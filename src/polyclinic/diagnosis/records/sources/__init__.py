"""Readers of records: each gives `records.Records`."""
