from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from captum_answers import Groups, ablated, agreement, integrated, trained_network, variables
from numpy.typing import NDArray
from patient_records import STAYS_RECIPE
from trained_records import TrainedRecords

from polyclinic.diagnosis.records.models.network import OUTPUT, Network
from polyclinic.diagnosis.records.networks import SeriesNetwork
from polyclinic.diagnosis.records.networks.series import Mean
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.prepare import make_features, prepare
from polyclinic.learning.serve.onnx_export import export_onnx

GRU = {"name": "recurrent", "cell": "gru", "steps": 12, "width": 8}


@dataclass(frozen=True)
class Explained:
    network: SeriesNetwork
    served: Network
    x: NDArray[np.float32]
    groups: Groups


@pytest.fixture(scope="module")
def explained(stays_model: TrainedRecords) -> Explained:
    """A small GRU before and after its export, and hours of stays that it was not trained on."""
    recipe = RecordRecipe.model_validate(yaml.safe_load(STAYS_RECIPE) | {"model": GRU})
    checked = prepare(recipe, stays_model.data, stays_model.data)
    prepared = make_features(recipe, checked.records, checked.parts)
    assert recipe.network is not None
    network = trained_network(recipe.network, prepared, epochs=8)
    x = prepared.dataset.validation.x[::8]
    served = Network(export_onnx(Mean([network]), x[:8], [OUTPUT]), 2, exclusive=True)
    return Explained(network, served, x, [each.columns for each in prepared.encoding.groups])


def test_occlusion_is_what_captum_calls_feature_ablation(explained: Explained) -> None:
    ours = explained.served.contributions(explained.x, 1, explained.groups)
    theirs = ablated(explained.network, explained.x, explained.groups)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.abs(theirs).max() > 0.1


def test_occlusion_ranks_variables_much_as_integrated_gradients_do(explained: Explained) -> None:
    ours = explained.served.contributions(explained.x, 1, variables(explained.network))
    theirs = integrated(explained.network, explained.x)
    assert agreement(ours, theirs).mean() > 0.9
