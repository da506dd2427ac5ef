"""Treatments as they were ordered: from past visits to what is likely ordered at this one."""
