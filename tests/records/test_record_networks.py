"""Networks over hourly values: trained, exported, served and explained."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from patient_records import STAYS_RECIPE
from trained_records import TrainedRecords, trained

from polyclinic.core.prediction import Prediction
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.evidence import Evidence
from polyclinic.diagnosis.records.networks.series import carried
from polyclinic.diagnosis.records.record import parse_record

TREES = "{name: lightgbm, rounds: 40, leaves: 4, min_rows: 20}"
NETWORKS = {
    "gru": "{name: recurrent, cell: gru, steps: 12, width: 8}",
    "lstm": "{name: recurrent, cell: lstm, steps: 12, width: 8, layers: 2, members: 2}",
    "transformer": "{name: transformer, steps: 12, width: 8, heads: 2}",
}
TRAINING = "\ntrain: {epochs: 6, batch_size: 64, learning_rate: 0.01}\n"


@pytest.fixture(scope="module", params=NETWORKS)
def made(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    stays_model: TrainedRecords,
) -> TrainedRecords:
    text = STAYS_RECIPE.replace(f"model: {TREES}\n", f"model: {NETWORKS[request.param]}{TRAINING}")
    return trained(tmp_path_factory.mktemp("home"), text, stays_model.data)


def test_a_network_learns_what_trees_learn(made: TrainedRecords) -> None:
    assert made.version.manifest.validation.metrics["auc"].value > 0.85
    assert "torch" in made.version.manifest.versions


def test_a_network_is_served_with_evidence_by_occlusion(made: TrainedRecords) -> None:
    model = RecordClassifier.load(made.registry, made.version)
    hours = 30
    creatinine = [None if hour % 3 else 1.0 + 0.1 * max(0, hour - 20) for hour in range(hours)]
    record = parse_record(
        {
            "values": {"age": 60, "sex": "Female"},
            "series": {"hours": list(range(hours)), "values": {"crea": creatinine}},
        }
    )
    (answer,) = model.predict([record], explain=True)
    assert isinstance(answer, Prediction)
    assert answer.explanation is not None
    assert answer.explanation.method == "occlusion"
    found = Evidence.model_validate_json(base64.b64decode(answer.explanation.content))
    named = {piece.variable: piece for piece in found.pieces}
    assert named["crea"].statistic == "at"
    assert named["crea"].window in ("5 to 0 h before", "11 to 6 h before")
    assert all(piece.value is not None for piece in found.pieces)
    # What is unknown cannot be occluded: it says nothing.
    assert "hr" not in named


def test_values_are_carried_forward_with_the_time_since_they_were_measured() -> None:
    nan = float("nan")
    series = torch.tensor([nan, 3.0, nan, nan, 5.0, nan])[None, :, None]
    values, since = carried(series)
    np.testing.assert_array_equal(values[0, :, 0], [nan, 3, 3, 3, 5, 5])
    assert since[0, 0, 0] > 1000
    np.testing.assert_array_equal(since[0, 1:, 0], [0, 1, 2, 0, 1])


def test_a_stopped_run_leaves_no_checkpoint_once_it_is_done(made: TrainedRecords) -> None:
    from polyclinic.core.settings import settings

    runs = Path(settings().home) / "runs"
    assert not any(runs.glob("kidneys-*"))
