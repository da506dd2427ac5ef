"""Diagnosis from patient records: tables and hourly measurements."""
