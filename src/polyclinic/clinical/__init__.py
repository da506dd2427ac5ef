"""What departments share of medicine: the patient timeline, codes, units, and their readers."""
