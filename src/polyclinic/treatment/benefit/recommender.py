"""A served model of benefit: a patient's covariates in, arms in order out, without torch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.prediction import Coding, Familiarity, ModelIdentity, Provenance, Reweighting
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import (
    Expected,
    Reason,
    Recommendation,
    Recommended,
    TreatmentSet,
)
from polyclinic.treatment.benefit.model import FAMILIARITY_FILE, MODEL_FILE, BenefitModel, Told
from polyclinic.treatment.benefit.recipe import Covariate
from polyclinic.treatment.benefit.spec import KIND, BenefitSpec
from polyclinic.treatment.case import Case
from polyclinic.treatment.ranking import Findings, Scored, apart, in_safe_order
from polyclinic.treatment.rules import UNCHECKED, Rules

Floats = NDArray[np.float64]

OBSERVED = (
    "This rests on observational data: who was given what was chosen, and what the table does not "
    "hold may have decided it."
)
#: So many reasons are told of an arm.
TOLD = 5


class BenefitRecommender:
    """A model version of kind `treatment.benefit`, ready to answer."""

    def __init__(
        self,
        identity: ModelIdentity,
        spec: BenefitSpec,
        model: BenefitModel,
        familiarity: FamiliarityModel,
        rules: Rules,
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.model = model
        self._familiarity = familiarity
        self._rules = rules

    @property
    def knowledge(self) -> str:
        """The version of the safety knowledge in use."""
        return self._rules.version

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion, rules: Rules) -> "BenefitRecommender":
        """The model of a registered version (`load_version`)."""

        def of_files(
            identity: ModelIdentity,
            labels: tuple[Coding, ...],
            spec: BenefitSpec,
            files: Mapping[str, bytes],
            reweighting: Reweighting | None,
        ) -> "BenefitRecommender":
            return cls.of_files(identity, spec, files, rules)

        return load_version(registry, version, KIND, BenefitSpec, of_files)

    @classmethod
    def of_files(
        cls, identity: ModelIdentity, spec: BenefitSpec, files: Mapping[str, bytes], rules: Rules
    ) -> "BenefitRecommender":
        """The model of files that are known to be whole."""
        return cls(
            identity,
            spec,
            BenefitModel.from_arrays(safetensors.numpy.load(files[MODEL_FILE])),
            FamiliarityModel.from_arrays(safetensors.numpy.load(files[FAMILIARITY_FILE])),
            rules,
        )

    def p_values(self, x: Floats) -> Floats:
        """How usual each patient with covariates (n, d) is."""
        return self._familiarity.p_values(self.model.basis.columns(x))

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
        x, warnings = read_covariates(case.covariates, spec.covariates)
        (p_value,) = self.p_values(x[None]).tolist()
        familiarity = Familiarity(p_value=p_value, alpha=spec.familiarity_alpha)
        against: Mapping[str, Findings] = {}
        taken: Findings = ()
        if case.chart is None:
            warnings.append(UNCHECKED)
        else:
            facts = rules.facts(case.chart)
            found = rules.against(facts)
            against = {
                arm.coding.code: tuple(one for drug in arm.drugs for one in found.get(drug, ()))
                for arm in spec.arms
            }
            taken = rules.of_taken(facts)
            warnings += (*case.chart.warnings, *facts.problems)
        allowed = np.array(
            [
                all(one.action != "veto" for one in against.get(arm.coding.code, ()))
                for arm in spec.arms
            ]
        )
        (told,) = self.model.tell(x[None], spec.coverage, allowed)
        # An arm is in the set unless the best one that may be given is surely ahead of it.
        in_set = told.behind[:, 1] >= 0
        scored = [
            Scored(place, arm.coding.code, float(told.expected[place]), bool(in_set[place]))
            for place, arm in enumerate(spec.arms)
        ]
        kept, vetoed = in_safe_order(scored, against, apart, len(spec.arms))
        answered = [self._told(each, told, x, allowed, explain) for each in (*kept, *vetoed)]
        return Recommendation(
            treatments=tuple(answered[: len(kept)]),
            vetoed=tuple(answered[len(kept) :]),
            taken=taken,
            treatment_set=TreatmentSet(
                method="interval",
                coverage=spec.coverage,
                treatments=tuple(spec.arms[each.place].coding for each in kept if each.in_set),
            ),
            familiarity=familiarity,
            abstained=self._abstention(in_set, allowed, familiarity),
            warnings=tuple(warnings),
            basis="Arms were given by lot in the trial that the model was learnt from."
            if spec.randomised
            else OBSERVED,
            knowledge=rules.version,
            provenance=Provenance(
                model=self.identity, input_digest=case.digest, time=datetime.now(UTC)
            ),
        )

    def _told(
        self, each: Scored, told: Told, x: Floats, allowed: NDArray[np.bool_], explain: bool
    ) -> Recommended:
        spec, place = self.spec, each.place
        # A line knows no limits, but a mean within 1,000 days is not above them.
        low, high = spec.limits or (-np.inf, np.inf)
        value, *interval = np.clip(
            (told.expected[place], told.low[place], told.high[place]), low, high
        ).tolist()
        arm = spec.arms[place]
        return Recommended(
            coding=arm.coding,
            also=arm.codings,
            expected=Expected(
                what=spec.what,
                value=value,
                low=interval[0],
                high=interval[1],
                coverage=spec.coverage,
                unit=spec.unit,
            ),
            in_set=each.in_set,
            current=False,
            safety=each.safety,
            reasons=self._reasons(x, place, told, allowed) if explain else (),
            would_change=self._flips(x, told, allowed) if explain and place == told.best else (),
        )

    def _reasons(
        self, x: Floats, place: int, told: Told, allowed: NDArray[np.bool_]
    ) -> tuple[Reason, ...]:
        """What speaks for the arm against the best of the others that are allowed (k,)."""
        other = np.arange(len(told.expected)) != place
        others = np.where(other & (allowed | ~allowed[other].any()), told.expected, -np.inf)
        weights = self.model.contributions(x, place, int(others.argmax()))
        order = np.argsort(-np.abs(weights), kind="stable")[:TOLD]
        return tuple(
            Reason(
                fact=said(self.spec.covariates[i], x[i]),
                kind="covariate",
                weight=round(float(weights[i]), 4),
            )
            for i in order.tolist()
            if np.isfinite(x[i])
        )

    def _flips(self, x: Floats, told: Told, allowed: NDArray[np.bool_]) -> tuple[str, ...]:
        """The single covariates of which another value would make another arm the best.

        Of the arms that are allowed (k,).
        """
        found = []
        for i, covariate in enumerate(self.spec.covariates):
            values = [float(value) for value in covariate.values] or np.linspace(
                covariate.low, covariate.high, 41
            ).tolist()
            tried = np.tile(x, (len(values), 1))
            tried[:, i] = values
            columns = self.model.basis.columns(tried)
            expected = self.model.line.predict(columns)
            best = np.where(allowed, expected, -np.inf).argmax(axis=1)
            other = [
                value for value, arm in zip(values, best.tolist(), strict=True) if arm != told.best
            ]
            if other and np.isfinite(x[i]):
                nearest = min(other, key=lambda value: abs(value - x[i]))
                arm = int(best[values.index(nearest)])
                found.append(
                    f"With {said(covariate, nearest)}, {self.spec.arms[arm].coding.display} would "
                    "be expected to do best."
                )
        return tuple(found[:TOLD])

    def _abstention(
        self, in_set: NDArray[np.bool_], allowed: NDArray[np.bool_], familiarity: Familiarity
    ) -> str | None:
        if not allowed.any():
            return "The safety rules veto every arm for this patient."
        if not familiarity.familiar:
            return "The patient is unlike those that the model was made from."
        left = int((in_set & allowed).sum())
        if left == 1:
            return None
        means = np.where(allowed, self.spec.means, -np.inf)
        best = self.spec.arms[int(means.argmax())].coding.display
        return (
            f"No arm is clearly better for this patient: {left} cannot be told apart. On average "
            f"{best} did best of them."
        )


def read_covariates(
    sent: Mapping[str, float | str | None], covariates: Sequence[Covariate]
) -> tuple[Floats, list[str]]:
    """The covariates (d,), NaN where missing, and remarks.

    Raises `InvalidInput` naming one that is not known, is no number or cannot be.
    """
    names = [covariate.name for covariate in covariates]
    for name in sent:
        if name not in names:
            raise InvalidInput(
                f"The model has no covariate {name}.",
                where=f"/covariates/{name}",
                remedy=f"It reads {', '.join(names)}.",
            )
    if all(sent.get(name) is None for name in names):
        raise InvalidInput(
            "No covariate was sent, which is all that this model reads.",
            where="/covariates",
            remedy=f"Send {', '.join(names)}.",
        )
    x, missing = np.full(len(names), np.nan), []
    for place, covariate in enumerate(covariates):
        value = sent.get(covariate.name)
        if value is None:
            missing.append(covariate.display)
            continue
        x[place] = _number(value, covariate)
    remarks = [f"Not known, and taken as in the median patient: {', '.join(missing)}."]
    return x, remarks if missing else []


def _number(value: float | str, covariate: Covariate) -> float:
    where = f"/covariates/{covariate.name}"
    codes = {said: float(code) for code, said in covariate.values.items()}
    if isinstance(value, str):
        if value not in codes:
            known = f" It is one of {', '.join(codes)}." if codes else ""
            raise InvalidInput(f"{covariate.display} is no number.{known}", where=where)
        return codes[value]
    if not covariate.low <= value <= covariate.high:
        raise InvalidInput(
            f"{covariate.display} of {value:g} is not from {covariate.low:g} to "
            f"{covariate.high:g}.",
            where=where,
        )
    return float(value)


def said(covariate: Covariate, value: float) -> str:
    """A covariate's value in words."""
    words = covariate.values.get(f"{value:g}", f"{value:g} {covariate.unit}".rstrip())
    return f"{covariate.display}: {words}"
