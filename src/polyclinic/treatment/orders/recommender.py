"""A served model of past orders: cases in, recommendations out, without torch or scikit-learn."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.clinical.chart import Chart
from polyclinic.clinical.codes import ATC
from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.prediction import (
    Coding,
    Familiarity,
    ModelIdentity,
    Provenance,
    Reweighting,
)
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation, Recommended, TreatmentSet
from polyclinic.treatment.case import Case
from polyclinic.treatment.orders.encoding import Encoded, Floats
from polyclinic.treatment.orders.evidence import reasons, weigh, would_change
from polyclinic.treatment.orders.groups import GROUPS_FILE, Groups
from polyclinic.treatment.orders.models.scorers import LogOdds, load_scorer
from polyclinic.treatment.orders.spec import FAMILIARITY_FILE, KIND, OrdersSpec
from polyclinic.treatment.orders.usual import USUAL_FILE, Usual
from polyclinic.treatment.orders.visits import Visits, read_visits
from polyclinic.treatment.ranking import Scored, in_safe_order
from polyclinic.treatment.rules import Rules

#: So many treatments are told, and at most so many of those that were vetoed.
TOP = 10


class OrdersRecommender:
    """A model version of kind `treatment.orders`, ready to answer."""

    def __init__(
        self,
        identity: ModelIdentity,
        spec: OrdersSpec,
        model: LogOdds,
        usual: Usual,
        familiarity: FamiliarityModel,
        groups: Groups,
        rules: Rules,
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.model = model
        self.usual = usual
        self._familiarity = familiarity
        self._groups = groups
        self._rules = rules
        self._drugs = [each.drug for each in spec.vocabulary.treatments]

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion, rules: Rules) -> "OrdersRecommender":
        """The model of a registered version (`load_version`)."""

        def of_files(
            identity: ModelIdentity,
            labels: tuple[Coding, ...],
            spec: OrdersSpec,
            files: Mapping[str, bytes],
            reweighting: Reweighting | None,
        ) -> "OrdersRecommender":
            return cls.of_files(identity, spec, files, rules)

        return load_version(registry, version, KIND, OrdersSpec, of_files)

    @classmethod
    def of_files(
        cls, identity: ModelIdentity, spec: OrdersSpec, files: Mapping[str, bytes], rules: Rules
    ) -> "OrdersRecommender":
        """The model of files that are known to be whole."""
        return cls(
            identity,
            spec,
            load_scorer(spec.model, files, spec.vocabulary),
            Usual.from_arrays(safetensors.numpy.load(files[USUAL_FILE])),
            FamiliarityModel.from_arrays(safetensors.numpy.load(files[FAMILIARITY_FILE])),
            Groups.from_arrays(safetensors.numpy.load(files[GROUPS_FILE])),
            rules,
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
        chart, spec, rules = _chart(case), self.spec, self._rules
        facts = rules.facts(chart)
        against = rules.against(facts)
        visits = read_visits(chart.timeline, rules.formulary, chart.decision)
        encoded = spec.vocabulary.encode(visits).take(np.array([len(visits) - 1]))
        (logits,) = self.model.logits(encoded)
        (probabilities,) = spec.probabilities(logits[None])
        (in_set,) = spec.sets.sets(logits[None])
        scored = (
            Scored(place, drug, float(logits[place]), bool(in_set[place]))
            for place, drug in enumerate(self._drugs)
        )
        kept, vetoed = in_safe_order(scored, against, rules.together, TOP)
        (p_value,) = self.p_values(encoded).tolist()
        familiarity = Familiarity(p_value=p_value, alpha=spec.familiarity_alpha)
        taken = {drug.name for each in facts.medications for drug in each.drugs}
        told = {each.place: self._told(each, probabilities, taken) for each in (*kept, *vetoed)}
        out = {each.place for each in vetoed}
        if explain:
            told = self._explained(told, encoded, logits, _words(visits))
        return Recommendation(
            treatments=tuple(told[each.place] for each in kept),
            vetoed=tuple(told[each.place] for each in vetoed),
            taken=rules.of_taken(facts),
            treatment_set=TreatmentSet(
                method="risk-controlled",
                coverage=spec.sets.coverage,
                treatments=tuple(
                    treatment.coding
                    for place, treatment in enumerate(spec.vocabulary.treatments)
                    if in_set[place] and place not in out
                ),
            ),
            familiarity=familiarity,
            abstained=self._abstention(familiarity, encoded),
            warnings=(*chart.warnings, *facts.problems),
            basis=self._basis(),
            knowledge=rules.version,
            provenance=Provenance(
                model=self.identity, input_digest=case.digest, time=datetime.now(UTC)
            ),
        )

    def _told(
        self, each: Scored, probabilities: NDArray[np.float64], taken: set[str]
    ) -> Recommended:
        treatment = self.spec.vocabulary.treatments[each.place]
        return Recommended(
            coding=treatment.coding,
            also=tuple(
                Coding(system=ATC, code=code, display=treatment.coding.display)
                for code in treatment.atc
            ),
            probability=float(probabilities[each.place]),
            in_set=each.in_set,
            current=each.drug in taken,
            safety=each.safety,
        )

    def _explained(
        self,
        told: Mapping[int, Recommended],
        encoded: Encoded,
        logits: Floats,
        words: Mapping[str, str],
    ) -> dict[int, Recommended]:
        facts, weights = weigh(self.model, encoded, self.spec.vocabulary, words)
        places = list(told)
        x = encoded.x[encoded.asked[0]]
        alike = self._groups.alike(x, places, self.spec.vocabulary)
        threshold = self.spec.sets.threshold
        return {
            number: told[number].model_copy(
                update={
                    "reasons": reasons(facts, weights, number),
                    "alike": group,
                    "would_change": would_change(
                        facts, weights, number, float(logits[number]), threshold
                    ),
                }
            )
            for number, group in zip(places, alike, strict=True)
        }

    def p_values(self, encoded: Encoded) -> NDArray[np.float64]:
        """How usual each visit is (n,)."""
        return self._familiarity.p_values(self.usual.place(encoded.x[encoded.asked]))

    def thin(self, encoded: Encoded) -> NDArray[np.bool_]:
        """Where too little is known of the patient (n,): age and sex alone do not count."""
        return self.spec.vocabulary.known(encoded.x[encoded.asked]) < self.spec.facts

    def _abstention(self, familiarity: Familiarity, encoded: Encoded) -> str | None:
        if not familiarity.familiar:
            return "The patient is unlike those that the model was made from."
        if self.thin(encoded)[0]:
            return (
                "The evidence is too thin: of conditions, treatments and values that the model "
                f"knows fewer than {self.spec.facts} are known of the patient."
            )
        return None

    def _basis(self) -> str:
        basis = "What was ordered for patients alike, which need not be what was best for them."
        if self.spec.simulated:
            return f"{basis} All of these patients are simulated: it proves plumbing, not merit."
        return basis


def _chart(case: Case) -> Chart:
    if case.chart is None:
        raise InvalidInput(
            "This model reads a patient's record, of which nothing was sent.",
            where="/bundle",
            remedy="Send a FHIR R4 Bundle, or `patient`.",
        )
    return case.chart


def _words(visits: Visits) -> dict[str, str]:
    """What the record of the last visit's patient says of the conditions and values known then."""
    last = pl.col("row") == len(visits) - 1
    words = dict(
        visits.conditions.filter(last).drop_nulls("display").select("fact", "display").iter_rows()
    )
    for fact, display, value, unit in (
        visits.values.filter(last).select("fact", "display", "value", "unit").iter_rows()
    ):
        words[fact] = f"{display or fact.rpartition('|')[2]} {value:g} {unit or ''}".rstrip()
    return words
