"""Safety apart from the score: rules over cited, versioned knowledge."""

from polyclinic.treatment.safety.finding import SafetyFinding
from polyclinic.treatment.safety.knowledge import Knowledge, Rule, load_knowledge
from polyclinic.treatment.safety.raised import unread_allergies, unread_conditions
from polyclinic.treatment.safety.screening import Against, check, screen, together

__all__ = [
    "Against",
    "Knowledge",
    "Rule",
    "SafetyFinding",
    "check",
    "load_knowledge",
    "screen",
    "together",
    "unread_allergies",
    "unread_conditions",
]
