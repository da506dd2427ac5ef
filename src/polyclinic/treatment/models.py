"""The kinds of models of treatment: how each is loaded, trained and measured."""

from polyclinic.core.errors import InvalidInput
from polyclinic.core.model import Model
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.case import Case
from polyclinic.treatment.rules import Rules

ORDERS, SCORES, BENEFIT = "treatment.orders", "treatment.scores", "treatment.benefit"
KINDS = (ORDERS, SCORES, BENEFIT)


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
