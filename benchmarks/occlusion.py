"""How evidence by occlusion compares to what Captum says of the same network.

    python benchmarks/occlusion.py COHORT

Trains a GRU (48 hours, 64 wide, three passes over every tenth hour) on COHORT, with the variables
of `recipes/aki.yaml`, and explains validation hours of 100 stays: with variables occluded wholly,
against integrated gradients, and with the groups that are served, against feature ablation.
"""

import sys
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "records"))
from captum_answers import ablated, agreement, integrated, trained_network, variables

from polyclinic.diagnosis.records.models.network import OUTPUT, Network
from polyclinic.diagnosis.records.networks.series import Mean
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.steps.prepare import make_features, prepare
from polyclinic.learning.evaluate.metrics import auc
from polyclinic.learning.serve.onnx_export import export_onnx

RECIPE = Path(__file__).parents[1] / "recipes" / "aki.yaml"
GRU = {"name": "recurrent", "cell": "gru", "steps": 48, "width": 64}


def main() -> None:
    """Train, explain, compare."""
    cohort = Path(sys.argv[1])
    recipe = RecordRecipe.model_validate(yaml.safe_load(RECIPE.read_text()) | {"model": GRU})
    checked = prepare(recipe, cohort, cohort)
    parts = {name: rows[::10] for name, rows in checked.parts.items()}
    prepared = make_features(recipe, checked.records, parts)
    assert recipe.network is not None
    network = trained_network(recipe.network, prepared, epochs=3)
    held_out = one_each(prepared.dataset.validation)
    served = Network(export_onnx(Mean([network]), held_out.x[:8], [OUTPUT]), 2, exclusive=True)
    logits = served.logits(held_out.x)
    print(f"AUROC of {len(held_out)} hours: {auc(logits - logits[:, :1], held_out.y):.2f}")

    x = held_out.x[:100]
    found = agreement(served.contributions(x, 1, variables(network)), integrated(network, x))
    low, middle, high = np.percentile(found, [5, 50, 95])
    print(f"rank correlation with integrated gradients, by variable: mean {found.mean():.3f}")
    print(f"  of {len(found)} stays, median {middle:.3f}, 5% below {low:.3f}, 5% above {high:.3f}")

    groups = [group.columns for group in prepared.encoding.groups]
    ours, theirs = served.contributions(x, 1, groups), ablated(network, x, groups)
    print(f"farthest from feature ablation, by group: {np.abs(ours - theirs).max():.1e} log-odds")


if __name__ == "__main__":
    main()
