"""Polyclinic serves medical AI as services: diagnosis, treatment and drug discovery."""

__version__ = "0.1.0"

#: Said once on every surface that shows a prediction.
NOTICE = "Research software, not a medical device: no answer replaces a clinician's judgement."
