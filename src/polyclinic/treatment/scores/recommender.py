"""A served model of scores: a patient's own scores in, treatments in order out; NumPy alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.prediction import Coding, ModelIdentity, Provenance, Reweighting
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Expected, Reason, Recommendation, Recommended
from polyclinic.treatment.case import Case
from polyclinic.treatment.orders.visits import read_visits
from polyclinic.treatment.ranking import Findings, apart, in_safe_order
from polyclinic.treatment.ranking import Scored as Candidate
from polyclinic.treatment.rules import UNCHECKED, Rules
from polyclinic.treatment.scores.model import MODEL_FILE, FoldsIn, stored
from polyclinic.treatment.scores.scored import Scored, persistence
from polyclinic.treatment.scores.spec import KIND, ScoresSpec

Floats = NDArray[np.float64]

SIMULATED = "All patients are simulated: figures prove plumbing, not merit."
TOP = 10
#: So many of the patient's own scores are told as reasons.
TOLD = 5


class ScoresRecommender:
    """A model version of kind `treatment.scores`, ready to answer."""

    def __init__(
        self, identity: ModelIdentity, spec: ScoresSpec, model: FoldsIn, rules: Rules
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.model = model
        self._rules = rules
        self._place = {each.drug: place for place, each in enumerate(spec.treatments)}

    @property
    def knowledge(self) -> str:
        """The version of the safety knowledge in use."""
        return self._rules.version

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion, rules: Rules) -> "ScoresRecommender":
        """The model of a registered version (`load_version`)."""

        def of_files(
            identity: ModelIdentity,
            labels: tuple[Coding, ...],
            spec: ScoresSpec,
            files: Mapping[str, bytes],
            reweighting: Reweighting | None,
        ) -> "ScoresRecommender":
            return cls(identity, spec, stored(safetensors.numpy.load(files[MODEL_FILE])), rules)

        return load_version(registry, version, KIND, ScoresSpec, of_files)

    def of_its_treatments(self, scored: Scored) -> Scored:
        """Scores of other data, in the model's treatments; those of others are left out."""
        place = np.array([self._place.get(each.drug, -1) for each in scored.treatments], np.int64)
        own = place[scored.treatment]
        known = own >= 0
        return replace(
            scored,
            patient=scored.patient[known],
            treatment=own[known],
            values=scored.values[known],
            notes=(*scored.notes, f"{int((~known).sum())} scores of other treatments; left out."),
        )

    def predict(
        self, items: Sequence[Case], *, explain: bool = False
    ) -> list[Recommendation | PolyclinicError]:
        """One answer a case, in order; a case that cannot be read fails alone."""
        answers: list[Recommendation | PolyclinicError] = []
        for item in items:
            try:
                answers.append(self._recommend(item, explain))
            except PolyclinicError as error:
                answers.append(error)
        return answers

    def _recommend(self, case: Case, explain: bool) -> Recommendation:
        spec, rules = self.spec, self._rules
        own, warnings = self._own(case)
        findings: Mapping[str, Findings] = {}
        taken: Findings = ()
        current: set[str] = set()
        if case.chart is None:
            warnings.append(UNCHECKED)
        else:
            facts = rules.facts(case.chart)
            findings = rules.against(facts)
            taken = rules.of_taken(facts)
            current = {drug.name for each in facts.medications for drug in each.drugs}
            warnings += (*case.chart.warnings, *facts.problems)
        places, values = list(own), list(own.values())
        raw = self.model.fold_in(places, values)
        expected = self.model.on_scale(raw)
        scored = (
            Candidate(place, each.drug, float(raw[place]), in_set=False)
            for place, each in enumerate(spec.treatments)
        )
        kept, vetoed = in_safe_order(scored, findings, apart, TOP)
        reasons = self._reasons(own, raw) if explain else {}
        width = spec.width if own else spec.cold_width
        answered = [
            self._told(each, expected, width, current, reasons) for each in (*kept, *vetoed)
        ]
        return Recommendation(
            treatments=tuple(answered[: len(kept)]),
            vetoed=tuple(answered[len(kept) :]),
            taken=taken,
            treatment_set=None,
            familiarity=None,
            abstained=None
            if own
            else "The evidence is too thin: no score of the patient's own of a treatment that the "
            "model knows; what is told are means over other patients.",
            warnings=tuple(warnings),
            basis=f"How treatments did in other patients, from {spec.low:g} to {spec.high:g}: "
            f"{spec.what}.{f' {SIMULATED}' if spec.simulated else ''}",
            knowledge=rules.version,
            provenance=Provenance(
                model=self.identity, input_digest=case.digest, time=datetime.now(UTC)
            ),
        )

    def _own(self, case: Case) -> tuple[dict[int, float], list[str]]:
        """The patient's own scores by the treatment's place, and remarks."""
        own: dict[int, float] = {}
        remarks = []
        for number, each in enumerate(case.scores):
            if not self.spec.low <= each.score <= self.spec.high:
                raise InvalidInput(
                    f"{each.score:g} is not on the scale from {self.spec.low:g} to "
                    f"{self.spec.high:g}.",
                    where=f"/scores/{number}/score",
                )
            drugs = self._rules.formulary.named(each.treatment)
            key = drugs[0].name if len(drugs) == 1 else f"text|{each.treatment.strip().lower()}"
            place = self._place.get(key)
            if place is None:
                remarks.append(f"The model knows no scores of {each.treatment}; not used.")
            elif place in own:
                raise InvalidInput(
                    f"{each.treatment} is scored twice.", where=f"/scores/{number}/treatment"
                )
            else:
                own[place] = each.score
        if not case.scores and self.spec.persistence and case.chart is not None:
            chart = case.chart
            timeline = chart.timeline.known_at(chart.decision)
            scores = persistence(read_visits(timeline, self._rules.formulary))
            for drug, score in scores.select("treatment", "score").sort("treatment").iter_rows():
                if drug in self._place:
                    own[self._place[drug]] = score
        return own, remarks

    def _told(
        self,
        each: Candidate,
        expected: Floats,
        width: float,
        current: set[str],
        reasons: Mapping[int, tuple[Reason, ...]],
    ) -> Recommended:
        spec, value = self.spec, float(expected[each.place])
        return Recommended(
            coding=spec.treatments[each.place].coding,
            expected=Expected(
                what=spec.what,
                value=value,
                low=max(value - width, spec.low),
                high=min(value + width, spec.high),
                coverage=spec.coverage,
                unit="",
            ),
            in_set=each.in_set,
            current=each.drug in current,
            safety=each.safety,
            reasons=reasons.get(each.place, ()),
        )

    def _reasons(self, own: Mapping[int, float], raw: Floats) -> dict[int, tuple[Reason, ...]]:
        """Of each treatment what it would lose, were one of the patient's scores not known."""
        lost = {}
        for place in own:
            rest = {other: score for other, score in own.items() if other != place}
            lost[place] = raw - self.model.fold_in(list(rest), list(rest.values()))
        told = {}
        for place in range(len(raw)):
            most = sorted(lost, key=lambda other: -abs(lost[other][place]))[:TOLD]
            told[place] = tuple(
                Reason(
                    fact=f"{self.spec.treatments[other].coding.display}: {own[other]:.3g}",
                    kind="score",
                    weight=round(float(lost[other][place]), 4),
                )
                for other in most
            )
        return told
