"""Which model, on one half of the validation part, within a budget of time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.evaluate.ranking import average_precision
from polyclinic.treatment.orders.encoding import Encoded, Floats, Rows
from polyclinic.treatment.orders.models.scorers import LogOdds, save_log_odds, under
from polyclinic.treatment.orders.models.settings import (
    BASELINES,
    BlendSettings,
    ModelSettings,
    NeighbourSettings,
    OneSettings,
)
from polyclinic.treatment.orders.recipe import OrdersRecipe
from polyclinic.treatment.orders.steps.prepare import Prepared
from polyclinic.treatment.orders.steps.train import Trained, train, usual
from polyclinic.treatment.orders.steps.weigh import blend, log_odds

#: What a blend must gain over its best member to be worth its size.
WORTH = 0.005

#: Told the number of candidates done, and the best precision so far.
OnTrial = Callable[[int, float], None]


@dataclass(frozen=True)
class Candidate:
    """A trained model. precision: the mean average precision of a person's visits, cross-fitted."""

    settings: ModelSettings
    model: LogOdds
    files: dict[str, bytes]
    precision: float

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.name


def candidates(recipe: OrdersRecipe, prepared: Prepared, on_trial: OnTrial) -> list[Candidate]:
    """All models of the recipe, and the baselines, as many as the time allows; at least these."""
    budget = 60 * recipe.auto.minutes if recipe.auto else float("inf")
    started, found = monotonic(), list[Candidate]()
    for settings in recipe.tried:
        if monotonic() - started > budget and settings.name not in BASELINES:
            continue
        if isinstance(settings, BlendSettings):
            own = [_candidate(each, prepared, recipe.seed) for each in settings.members]
            found.append(_blended(own, prepared))
        else:
            found.append(_candidate(settings, prepared, recipe.seed))
        on_trial(len(found), 1 - max(each.precision for each in found))
    serveable = [each for each in found if not isinstance(each.settings, NeighbourSettings)]
    if recipe.auto and recipe.auto.blend and len(serveable) > 1:
        found.append(_blended(serveable, prepared))
    return found


def choose(recipe: OrdersRecipe, found: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The candidate to serve, and why it."""
    if recipe.auto is None:
        (chosen,) = (each for each in found if each.settings == recipe.model)
        return chosen, f"The recipe names {chosen.name}. {_against_baselines(chosen, found)}"
    ranked = sorted(found, key=lambda each: -each.precision)
    chosen = max(
        (each for each in found if not isinstance(each.settings, NeighbourSettings)),
        key=lambda each: each.precision - (WORTH if each.name == "blend" else 0.0),
    )
    told = ", ".join(f"{each.name} {each.precision:.3f}" for each in ranked)
    tried = len(recipe.auto.candidates)
    late = "" if len(found) >= tried else f" {tried - len(found)} were not tried for want of time."
    aside = ""
    if ranked[0] is not chosen:
        aside = f" {ranked[0].name} keeps rows of patients, and is never served."
        if ranked[0].name == "blend":
            aside = f" The blend gains less than {WORTH:g}, which is not worth its size."
    return chosen, (
        f"Chosen for its mean average precision on one half of the validation part: {told}."
        f"{aside}{late} {_against_baselines(chosen, found)}"
    )


def _against_baselines(chosen: Candidate, found: Sequence[Candidate]) -> str:
    """Whether it beats every dull baseline, in words for the card."""
    dull = [each for each in found if each.name in BASELINES and each is not chosen]
    better = [each for each in dull if each.precision >= chosen.precision]
    if not better:
        return "It beats every baseline there."
    told = ", ".join(f"{each.name} {each.precision:.3f}" for each in better)
    return f"It does not beat every baseline: {told} against its {chosen.precision:.3f}."


def precision(logits: Floats, part: Encoded, persons: NDArray[np.str_]) -> float:
    """The average precision of a visit's treatments, the mean over visits and then persons."""
    each = average_precision(logits, part.ordered[part.asked])
    _, whose = np.unique(persons, return_inverse=True)
    return float((np.bincount(whose, each) / np.bincount(whose)).mean())


def _candidate(settings: OneSettings, prepared: Prepared, seed: int) -> Candidate:
    trained: Trained = train(settings, prepared, seed)
    start, part = usual(prepared.part("train")), prepared.part("choose")
    model = log_odds(trained.scorer, start, part)
    persons = prepared.person("choose")
    scored = precision(model.logits(part), part, persons)
    return Candidate(settings, model, {**trained.files, **save_log_odds(model)}, scored)


def _blended(members: Sequence[Candidate], prepared: Prepared) -> Candidate:
    """The blend; its precision is of persons who had no say in its weights."""
    part, persons = prepared.part("choose"), prepared.person("choose")
    models = [member.model for member in members]
    odds = np.zeros((len(part), prepared.vocabulary.m), np.float32)
    for learn, score in _halves(persons):
        odds[score] = blend(models, part.take(learn))[0].logits(part.take(score))
    scored = precision(odds, part, persons)
    model, weights = blend(models, part)
    kept = [i for i, weight in enumerate(weights) if weight > 0]
    if 1 < len(kept) < len(members):
        return _blended([members[i] for i in kept], prepared)
    files = save_log_odds(model)
    for number, member in enumerate(members):
        files |= under(member.files, number)
    settings = BlendSettings(name="blend", members=tuple(_one(each) for each in members))
    return Candidate(settings, model, files, scored)


def _one(candidate: Candidate) -> OneSettings:
    if isinstance(candidate.settings, BlendSettings):
        raise TypeError("a blend of blends")
    return candidate.settings


def _halves(persons: NDArray[np.str_]) -> Iterator[tuple[Rows, Rows]]:
    """Two ways to part persons' rows into those to learn from and those to score."""
    _, whose = np.unique(persons, return_inverse=True)
    first = np.random.default_rng(0).permutation(whose.max() + 1)[whose] % 2 == 0
    for half in (first, ~first):
        yield np.flatnonzero(half), np.flatnonzero(~half)
