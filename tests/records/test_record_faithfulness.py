"""Evidence, judged by what a model's answers lose without it."""

import numpy as np
from trained_records import TrainedRecords

from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.faithfulness import faithfulness
from polyclinic.learning.prepare.dataset import Part


def test_the_card_tells_what_evidence_is_worth(
    table_model: TrainedRecords, stays_model: TrainedRecords
) -> None:
    for made in (table_model, stays_model):
        metrics = made.version.manifest.validation.metrics
        assert metrics["evidence_over_random"].low > 0
        assert metrics["deletion_of_evidence"].value > metrics["deletion_at_random"].value


def test_evidence_drawn_by_lot_is_worth_nothing(table_model: TrainedRecords) -> None:
    model = RecordClassifier.load(table_model.registry, table_model.version)
    rng = np.random.default_rng(0)
    groups = len(model.spec.encoding.groups)
    model.contributions = lambda x, label: rng.normal(size=(len(x), groups))  # type: ignore[method-assign]
    x = rng.uniform(0, 90, (200, len(model.spec.encoding.features))).astype(np.float32)
    found = faithfulness(model, Part(x, np.zeros(200, np.int64)), resamples=200)
    assert found["evidence_over_random"].low < 0 < found["evidence_over_random"].high
