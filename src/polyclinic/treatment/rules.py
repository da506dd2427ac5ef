"""The safety rules as models of treatments meet them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from polyclinic.clinical.chart import Chart
from polyclinic.core.settings import Settings
from polyclinic.treatment.drugs import Formulary, load_formulary
from polyclinic.treatment.patient import PatientFacts, patient_facts
from polyclinic.treatment.safety import (
    Against,
    Knowledge,
    SafetyFinding,
    check,
    load_knowledge,
    screen,
    together,
    unread_allergies,
    unread_conditions,
)

#: Of a patient of whom nothing but scores or covariates was sent.
UNCHECKED = (
    "Safety could not be checked: no conditions, allergies, medications or values were sent."
)


@dataclass(frozen=True)
class Rules:
    """The formulary and the safety knowledge, as they are in use here."""

    formulary: Formulary
    knowledge: Knowledge

    @property
    def version(self) -> str:
        """The version of the knowledge."""
        return self.knowledge.version

    def facts(self, chart: Chart) -> PatientFacts:
        """What was known of the chart's patient at the decision."""
        (patient,) = chart.timeline.patients["patient"]
        facts = patient_facts(chart.timeline, patient, chart.decision, self.formulary)
        unread = [
            f"No rule knows the allergy to {each}: it was not checked."
            for each in unread_allergies(self.knowledge, facts)
        ]
        if named := ", ".join(unread_conditions(self.knowledge, facts)):
            unread.append(f"No rule knows by these words: {named}. Send ICD-10 or SNOMED CT.")
        return replace(facts, problems=(*facts.problems, *unread))

    def of_taken(self, facts: PatientFacts) -> tuple[SafetyFinding, ...]:
        """What speaks against what the patient takes: each, together, and its dose."""
        return check(self.knowledge, facts, ())

    def against(self, facts: PatientFacts) -> Against:
        """What speaks against each drug, by name: newly given, or, of one taken, given on."""
        return screen(self.knowledge, facts)

    def together(self, drug: str, other: str) -> tuple[SafetyFinding, ...]:
        """What speaks against a drug where another is given with it, both by name."""
        return self._together(drug, other)

    def interacting(self, drugs: Sequence[str]) -> NDArray[np.bool_]:
        """Which pairs (m, m) of drugs have an interaction; none of what no rule knows."""
        partners = self.knowledge.partners
        place = {drug: number for number, drug in enumerate(drugs)}
        found = np.zeros((len(drugs), len(drugs)), np.bool_)
        for drug, row in place.items():
            others = {one for _, own in partners.get(drug, ()) for one in own} - {drug}
            found[row, [place[other] for other in others & place.keys()]] = True
        return found | found.T

    @cached_property
    def _together(self) -> Callable[[str, str], tuple[SafetyFinding, ...]]:
        drugs = self.formulary.drugs

        @lru_cache(maxsize=1 << 16)
        def told(drug: str, other: str) -> tuple[SafetyFinding, ...]:
            known = drug in drugs and other in drugs
            return together(self.knowledge, drugs[drug], drugs[other]) if known else ()

        return told


def open_rules(settings: Settings) -> Rules:
    """The rules of this site: those that come with the package, and its own."""
    formulary = load_formulary(settings.formulary)
    return Rules(formulary, load_knowledge(formulary, settings.safety_rules))
