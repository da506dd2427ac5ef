"""Step 4, first half: calibration, the treatment set, the cut, familiarity and groups of alike."""

from dataclasses import dataclass

import numpy as np
import safetensors.numpy

from polyclinic.learning.evaluate.ranking import f1
from polyclinic.learning.trust.calibration import choose_calibration
from polyclinic.learning.trust.familiarity import fit_familiarity
from polyclinic.learning.trust.risk_control import fit_risk_control
from polyclinic.treatment.orders.groups import GROUPS_FILE, learn_groups
from polyclinic.treatment.orders.models.scorers import LogOdds
from polyclinic.treatment.orders.recipe import OrdersRecipe
from polyclinic.treatment.orders.spec import FAMILIARITY_FILE, OrdersSpec, two_sided
from polyclinic.treatment.orders.steps.choose import Candidate
from polyclinic.treatment.orders.steps.prepare import Prepared
from polyclinic.treatment.orders.usual import USUAL_FILE, learn_usual

#: A cut on the probability is looked for among so many quantiles.
CUTS = 200


@dataclass(frozen=True)
class Model:
    """All that is served: the spec and the files."""

    spec: OrdersSpec
    files: dict[str, bytes]


def fit_trust(recipe: OrdersRecipe, prepared: Prepared, chosen: Candidate, knowledge: str) -> Model:
    """The chosen model with its trust, fitted on the calibrating half; the cut on the choosing one.

    The cut is the probability of best mean F1: what passes it counts as recommended in figures of
    sets such as Jaccard's.
    """
    part = prepared.part("calibrate")
    logits, truth = chosen.model.logits(part), part.ordered[part.asked]
    calibration, _ = choose_calibration(
        two_sided(logits.ravel()), truth.ravel().astype(np.int64), ("platt", "isotonic")
    )
    sets = fit_risk_control(logits, truth, prepared.person("calibrate"), recipe.trust.coverage)
    train, held_out = prepared.part("train"), prepared.part("validation")
    usual = learn_usual(train.x[train.asked])
    familiarity = fit_familiarity(
        usual.place(train.x[train.asked]),
        np.zeros(len(train), np.int64),
        usual.place(held_out.x[held_out.asked]),
    )
    groups = learn_groups(
        usual.place(train.x[train.asked]),
        train,
        prepared.person("train"),
        prepared.vocabulary,
        recipe.trust.groups,
        recipe.seed,
    )
    spec = OrdersSpec(
        vocabulary=prepared.vocabulary,
        model=chosen.settings,
        calibration=calibration,
        sets=sets,
        cut=best_cut(chosen.model, prepared),
        familiarity_alpha=recipe.trust.familiarity,
        facts=recipe.trust.facts,
        simulated=recipe.data.simulated,
        knowledge=knowledge,
    )
    files = {
        **chosen.files,
        USUAL_FILE: safetensors.numpy.save(usual.arrays()),
        FAMILIARITY_FILE: safetensors.numpy.save(familiarity.to_arrays()),
        GROUPS_FILE: safetensors.numpy.save(groups.arrays()),
    }
    return Model(spec, files)


def best_cut(model: LogOdds, prepared: Prepared) -> float:
    """The log-odds of best mean F1 on the choosing half."""
    part = prepared.part("choose")
    logits, truth = model.logits(part), part.ordered[part.asked]
    cuts = np.unique(np.quantile(logits, np.linspace(0.5, 0.9995, CUTS)))
    return float(max(cuts, key=lambda cut: float(np.nanmean(f1(logits >= cut, truth)))))
