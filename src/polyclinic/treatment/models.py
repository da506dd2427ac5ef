"""The kinds of models of treatment: how each is loaded, trained and measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.model import Model
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.case import Case
from polyclinic.treatment.rules import Rules

KINDS = ("treatment.orders", "treatment.scores", "treatment.benefit")


def train_model(
    content: dict[str, Any],
    where: str,
    data: Path | None,
    folder: Path,
    registry: Registry,
    listen: Any,
    rules: Rules,
) -> ModelVersion:
    """Carry a recipe of any of these kinds through the five steps; the registered version.

    content: the recipe's; where: its file. listen: hears of steps and candidates, as in `run`.
    Raises `InvalidInput` naming every field that is wrong, or what cannot be used of the data.
    """
    match content.get("kind"):
        case "treatment.orders":
            from polyclinic.treatment.orders.recipe import OrdersRecipe
            from polyclinic.treatment.orders.steps.run import run as run_orders

            orders = parse_recipe(content, OrdersRecipe, where)
            return run_orders(orders, data, folder, registry, listen, rules)
        case "treatment.scores":
            from polyclinic.treatment.scores.recipe import ScoresRecipe
            from polyclinic.treatment.scores.run import run as run_scores

            scores = parse_recipe(content, ScoresRecipe, where)
            return run_scores(scores, data, folder, registry, listen, rules)
        case "treatment.benefit":
            from polyclinic.treatment.benefit.recipe import BenefitRecipe
            from polyclinic.treatment.benefit.run import run as run_benefit

            benefit = parse_recipe(content, BenefitRecipe, where)
            return run_benefit(benefit, data, folder, registry, listen, rules)
        case other:
            raise InvalidInput(
                f"There is no kind {other}.",
                where="kind",
                remedy=f"It is one of {', '.join(KINDS)}.",
            )


def evaluate_model(
    registry: Registry, version: ModelVersion, data: Path, by: str, rules: Rules
) -> Evaluation:
    """Measure a registered version of any of these kinds on data, and record the figures.

    On the data that it was made from this opens the test part, which is logged.
    """
    measure: Callable[[Registry, ModelVersion, Path, str, Rules], Evaluation]
    match version.kind:
        case "treatment.orders":
            from polyclinic.treatment.orders.evaluation import evaluate_file as measure
        case "treatment.scores":
            from polyclinic.treatment.scores.evaluation import evaluate_file as measure
        case _:
            from polyclinic.treatment.benefit.evaluation import evaluate_file as measure
    return measure(registry, version, data, by, rules)


def load_model(
    registry: Registry, version: ModelVersion, rules: Rules
) -> Model[Case, Recommendation]:
    """The model of a version of any of these kinds. What it needs is imported only now."""
    match version.kind:
        case "treatment.orders":
            from polyclinic.treatment.orders.recommender import OrdersRecommender

            return OrdersRecommender.load(registry, version, rules)
        case "treatment.scores":
            from polyclinic.treatment.scores.recommender import ScoresRecommender

            return ScoresRecommender.load(registry, version, rules)
        case "treatment.benefit":
            from polyclinic.treatment.benefit.recommender import BenefitRecommender

            return BenefitRecommender.load(registry, version, rules)
        case _:
            raise InvalidInput(f"A model of kind {version.kind} recommends no treatments.")
