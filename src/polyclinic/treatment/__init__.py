"""The treatment department: ranked treatments for a patient, each checked for safety."""
