"""A site whose records differ: prevalence without labels and by them, and re-weighted answers."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from patient_records import lumps, write_stays
from trained_records import TrainedRecords

from polyclinic.core import settings as of_process
from polyclinic.core.errors import Conflict, InvalidInput, UnsupportedInput
from polyclinic.core.prediction import Prediction
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.record import parse_record
from polyclinic.diagnosis.records.shift import records_shift
from polyclinic.learning.trust.counted_prevalence import (
    CountedPrevalence,
    count_prevalence,
    succession,
)
from polyclinic.learning.trust.label_shift import PrevalenceEstimate, reweight
from polyclinic.service.diagnosis import create_diagnosis

ROW = {"values": {"age": 71, "sex": "Female", "size": 30.0, "site": "left", "crea": 1.1}}


def site_of(path: Path, malignant: int, benign: int, seed: int = 9) -> Path:
    """A table with so many rows of each label."""
    table = lumps(4 * (malignant + benign), seed)
    chosen = [
        table.filter(pl.col("malignant") == word)[:count]
        for word, count in (("yes", malignant), ("no", benign))
    ]
    pl.concat(chosen).write_csv(path)
    return path


def test_a_rarer_finding_is_estimated_without_labels(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    path = site_of(tmp_path / "site.csv", malignant=30, benign=270)
    swapped = pl.read_csv(path).with_columns(malignant=pl.lit("yes"))
    swapped.write_csv(tmp_path / "swapped.csv")
    found = records_shift(table_model.registry, table_model.version, path)
    assert (found.inputs, found.what) == (300, "records")
    assert isinstance(found.estimate, PrevalenceEstimate)
    assert found.estimate.trusted
    share = found.estimate.prevalence[1]
    assert share.low <= 0.1 <= share.high
    # What the labels say plays no part.
    again = records_shift(table_model.registry, table_model.version, tmp_path / "swapped.csv")
    assert again.estimate == found.estimate
    few = site_of(tmp_path / "few.csv", malignant=5, benign=45)
    found = records_shift(table_model.registry, table_model.version, few)
    with pytest.raises(Conflict, match="too few"):
        found.reweighting()


def test_other_records_are_never_reweighted_without_labels(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    path = tmp_path / "site.csv"
    lumps(150, seed=9).with_columns(pl.col("size") / 10, pl.col("age") / 2).write_csv(path)
    found = records_shift(table_model.registry, table_model.version, path)
    assert found.alarm
    with pytest.raises(Conflict, match="mislead"):
        found.reweighting()


def test_counted_prevalence_is_applied_and_served(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    path = site_of(tmp_path / "site.csv", malignant=8, benign=92)
    registry, version = table_model.registry, table_model.version
    found = records_shift(registry, version, path, labels=True)
    counted = found.estimate
    assert isinstance(counted, CountedPrevalence)
    assert (counted.examples, counted.patients) == (100, 100)
    assert counted.prevalence[1].value == pytest.approx(0.08)
    assert counted.prevalence[1].low < 0.08 < counted.prevalence[1].high
    counts = version.manifest.validation.label_counts
    assert counted.source_prevalence[1] == pytest.approx(counts["malignant"] / sum(counts.values()))
    assert counted.helps
    assert counted.after["log_loss"].value < counted.before["log_loss"].value

    to = found.reweighting()
    assert to.method == "counted"
    assert to.prevalence["malignant"] == pytest.approx(9 / 102)
    record = parse_record(ROW)
    (before,) = RecordClassifier.load(registry, version).predict([record])
    registry.reweight(version, to, "tester")
    try:
        (after,) = RecordClassifier.load(registry, version).predict([record])
        house = Settings(home=table_model.data.parent, record_model=str(version))
        with TestClient(create_diagnosis(registry, house, ImageClassifier.load)) as client:
            answer = client.post("/v1/diagnosis/record", json={"records": [ROW]}).json()
    finally:
        registry.reweight(version, None, "tester")
    assert isinstance(before, Prediction)
    assert isinstance(after, Prediction)
    p = before.findings[0].probability
    source = np.array([1 - counted.source_prevalence[1], counted.source_prevalence[1]])
    here = np.array([1 - 9 / 102, 9 / 102])
    expected = reweight(np.array([[1 - p, p]]), source, here)[0, 1]
    assert after.findings[0].probability == pytest.approx(expected)
    assert after.findings[0].present == before.findings[0].present
    assert after.conformal_set == before.conformal_set
    served = answer["results"][0]["prediction"]
    assert served["reweighting"]["method"] == "counted"
    assert served["findings"][0]["probability"] == pytest.approx(expected)


def test_a_count_that_helps_nobody_is_not_applied(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    """Who is malignant here looks benign: to call it rarer yet makes these patients the worse."""
    looks = (pl.col("age") - 55) / 12 + (pl.col("size").fill_null(20) - 20) / 6
    table = lumps(2000, seed=9).sort(looks)
    path = tmp_path / "site.csv"
    sick = table.filter(pl.col("malignant") == "yes")[:20]
    well = table.filter(pl.col("malignant") == "no")[:180]
    pl.concat([sick, well]).write_csv(path)
    found = records_shift(table_model.registry, table_model.version, path, labels=True)
    assert isinstance(found.estimate, CountedPrevalence)
    assert found.estimate.prevalence[1].value < found.estimate.source_prevalence[1]
    assert found.estimate.gain.value < 0
    with pytest.raises(Conflict, match="would not help"):
        found.reweighting()


def test_hours_of_few_patients_give_a_wide_interval(
    stays_model: TrainedRecords, tmp_path: Path
) -> None:
    path = write_stays(tmp_path / "elsewhere", stays=60, seed=5, first_id=900)
    found = records_shift(stays_model.registry, stays_model.version, path, labels=True)
    counted = found.estimate
    assert isinstance(counted, CountedPrevalence)
    assert counted.patients == found.inputs == 60
    assert counted.examples > 1000
    share = counted.prevalence[1]
    independent = 1.96 * np.sqrt(share.value * (1 - share.value) / counted.examples)
    assert share.high - share.value > 1.5 * independent


def test_too_few_of_a_label_are_refused(table_model: TrainedRecords, tmp_path: Path) -> None:
    path = site_of(tmp_path / "site.csv", malignant=2, benign=92)
    with pytest.raises(InvalidInput, match="carried by 2 patients"):
        records_shift(table_model.registry, table_model.version, path, labels=True)


def test_labels_that_do_not_exclude_each_other_are_not_counted() -> None:
    with pytest.raises(UnsupportedInput, match="several"):
        count_prevalence(
            np.full((9, 2), 0.5),
            np.ones((9, 2), np.bool_),
            np.arange(9).astype(np.str_),
            np.ones(2),
        )


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=9))
def test_shares_by_succession_sum_to_one_and_none_is_impossible(counts: list[int]) -> None:
    shares = succession(np.array(counts, np.float64))
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0).all()
    order = np.argsort(counts, kind="stable")
    assert (np.diff(shares[order]) >= 0).all()


def test_a_patient_is_reweighted_by_what_others_have() -> None:
    """Were a patient's own label counted, the loss of one alone in a fold would be flattered."""
    y = np.repeat([0, 1], [95, 5])
    probabilities = np.full((100, 2), 0.5)
    patient = np.arange(100).astype(np.str_)
    counted = count_prevalence(probabilities, y, patient, np.array([0.5, 0.5]))
    # Each of five folds has one patient with the label and 19 without; the others 4 and 76.
    rare = 5 / 82
    expected = -(95 * np.log(1 - rare) + 5 * np.log(rare)) / 100
    assert counted.after["log_loss"].value == pytest.approx(expected)
    assert counted.before["log_loss"].value == pytest.approx(np.log(2))
    assert counted.gain.low > 0


def test_the_command_counts_applies_and_clears(
    table_model: TrainedRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from polyclinic.cli.main import app

    monkeypatch.setenv("POLYCLINIC_HOME", str(table_model.data.parent))
    of_process.settings.cache_clear()
    path = str(site_of(tmp_path / "site.csv", malignant=10, benign=110))
    model = str(table_model.version)
    run = CliRunner().invoke
    try:
        told = json.loads(run(app, ["shift", model, path, "--json"]).stdout)
        assert told["estimate"]["method"] == "em"
        counted = run(app, ["shift", model, path, "--labels", "--json"])
        said = json.loads(counted.stdout)
        assert (said["estimate"]["method"], said["helps"]) == ("counted", True)
        applied = run(app, ["shift", model, path, "--labels", "--apply"])
        assert applied.exit_code == 0, applied.output
        assert "120 records: prevalence counted" in applied.output
        kept = table_model.registry.reweighting(table_model.version)
        assert kept is not None
        assert kept.method == "counted"
        assert run(app, ["shift", model, "--clear"]).exit_code == 0
        assert table_model.registry.reweighting(table_model.version) is None
        for wrong in ([path, path], [path, "--labels", "--method", "em"], ["--clear", "--labels"]):
            assert isinstance(run(app, ["shift", model, *wrong]).exception, InvalidInput)
    finally:
        of_process.settings.cache_clear()
