"""The five steps on records: trained, registered, measured, and the test part opened once."""

import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl
import pytest
import yaml
from numpy.typing import NDArray
from patient_records import STAYS_RECIPE, TABLE_RECIPE, lumps, write_stays
from trained_records import Silence, TrainedRecords, trained

from polyclinic.core.errors import IntegrityError
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.evaluation import evaluate_file
from polyclinic.diagnosis.records.features import Hourly
from polyclinic.diagnosis.records.models import Trees, load_model
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import AFTER, HOURS
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.run import run
from polyclinic.registry.card import model_card
from polyclinic.registry.store import open_registry


def hours_of(series: Hourly) -> NDArray[np.int64]:
    return np.arange(len(series.start)) - series.start


def test_a_table_becomes_a_registered_model_that_finds_what_is_there(
    table_model: TrainedRecords,
) -> None:
    manifest = table_model.version.manifest
    assert manifest.kind == "diagnosis.record"
    assert manifest.validation.metrics["auc"].value > 0.8
    assert {group.attribute for group in manifest.validation.subgroups} == {"age", "sex", "site"}
    assert any(note.startswith("Served worst by AUC") for note in manifest.validation.notes)
    card = model_card(table_model.version, (), ())
    assert "Size" not in card.title
    assert "Lumps" in card.markdown()


def test_the_same_recipe_and_data_give_the_same_model(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    again = trained(tmp_path, TABLE_RECIPE, table_model.data)
    first, second = (model.version.manifest.artefacts for model in (table_model, again))
    assert first == second


def test_the_test_part_is_opened_by_a_logged_look_alone(table_model: TrainedRecords) -> None:
    registry, version = table_model.registry, table_model.version
    digest = version.manifest.data.digest
    assert registry.test_openings(digest) == []
    evaluation = evaluate_file(registry, version, table_model.data, "tester")
    assert evaluation.part == "test"
    assert [opening.by for opening in registry.test_openings(digest)] == ["tester"]
    assert registry.evaluations(version) == [evaluation]
    assert evaluation.examples == version.manifest.data.examples["test"]


def test_other_patients_are_measured_as_external_and_all_of_them(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere.csv"
    lumps(150, seed=9).write_csv(path)
    evaluation = evaluate_file(table_model.registry, table_model.version, path, "tester")
    assert (evaluation.part, evaluation.examples) == ("external", 150)
    assert not any("shift alarm" in note for note in evaluation.notes)


def test_other_units_elsewhere_raise_the_shift_alarm(
    table_model: TrainedRecords, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere.csv"
    lumps(150, seed=9).with_columns(pl.col("size") / 10, pl.col("age") / 2).write_csv(path)
    evaluation = evaluate_file(table_model.registry, table_model.version, path, "tester")
    assert any("shift alarm" in note for note in evaluation.notes)


def test_hours_before_the_onset_are_told_apart(stays_model: TrainedRecords) -> None:
    records = read_records(stays_model.data, stays_model.recipe.data)
    after = records.subgroups[HOURS] == AFTER
    # The onset is six hours after the first true hour; the stay ends six hours later.
    assert after.sum() == 40 * 7
    assert records.y[after].all()
    assert records.y.sum() == 40 * 13
    metrics = stays_model.version.manifest.validation.metrics
    for name in ("auc", "auprc"):
        assert {name, f"{name}_before_onset"} <= set(metrics)
    assert metrics["alarms_per_patient_day"].value <= metrics["alarm_hours_per_patient_day"].value
    assert 0 < metrics["alarm_hours_per_patient_day"].value <= 24
    groups = stays_model.version.manifest.validation.subgroups
    assert {group.attribute for group in groups} == {"age", "sex"}


def test_a_stay_that_began_too_late_has_its_onset_told_by_its_end(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays", stays=3)
    recipe = RecordRecipe.model_validate(yaml.safe_load(STAYS_RECIPE))
    late = pl.col("stay_id") != 1
    first = pl.read_parquet(folder / "outc.parquet").filter(~late & pl.col("label"))["time"][4]
    for name in ("dyn", "outc"):
        table = pl.read_parquet(folder / f"{name}.parquet")
        kept = table.filter(late | (pl.col("time") >= first))
        moved = pl.when(late).then("time").otherwise(pl.col("time") - first)
        kept.with_columns(time=moved).write_parquet(folder / f"{name}.parquet")
    records = read_records(folder, recipe.data)
    mine = records.patient == "1"
    # Nine true hours, of which the last is six after the onset: two lie before it.
    assert (records.subgroups[HOURS][mine] == AFTER).tolist() == [False] * 2 + [True] * 7


def test_hours_that_were_left_out_are_hours_without_values(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays", stays=3)
    for name in ("dyn", "outc"):
        table = pl.read_parquet(folder / f"{name}.parquet")
        table.filter(pl.col("time") != pl.duration(hours=5)).write_parquet(
            folder / f"{name}.parquet"
        )
    recipe = RecordRecipe.model_validate(yaml.safe_load(STAYS_RECIPE))
    inputs = read_records(folder, recipe.data).inputs
    assert inputs.hourly is not None
    assert inputs.row is not None
    assert hours_of(inputs.hourly)[inputs.row][:7].tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert np.isnan(inputs.hourly.values[5]).all()


def test_a_label_of_the_stay_is_asked_once_and_nothing_later_is_read(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays", stays=30)
    outc = pl.read_parquet(folder / "outc.parquet").group_by("stay_id").agg(pl.col("label").any())
    outc.write_parquet(folder / "outc.parquet")
    text = STAYS_RECIPE.replace("onset: {before: 6, after: 6}", "decision_hour: 12")
    recipe = RecordRecipe.model_validate(yaml.safe_load(text))
    inputs = read_records(folder, recipe.data).inputs
    assert inputs.hourly is not None
    assert inputs.row is not None
    assert len(inputs.row) == 30
    assert hours_of(inputs.hourly).max() == 12
    assert (hours_of(inputs.hourly)[inputs.row] == 12).all()


@pytest.mark.parametrize("model", ["{name: logistic, strengths: [0.01, 1]}", "{name: prevalence}"])
def test_baselines_are_trained_and_served_alike(
    tmp_path: Path, table_model: TrainedRecords, model: str
) -> None:
    text = TABLE_RECIPE.replace("{name: lightgbm, rounds: 60, leaves: 4, min_rows: 5}", model)
    made = trained(tmp_path, text, table_model.data)
    area = made.version.manifest.validation.metrics["auc"].value
    assert area == 0.5 if "prevalence" in model else area > 0.8
    served = RecordClassifier.load(made.registry, made.version)
    assert served.score(np.zeros((3, len(served.spec.encoding.features)), np.float32))


def test_trees_are_served_as_lightgbm_itself_has_them() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    y = np.nan_to_num(x[:, 0]) + rng.normal(size=500) > 0
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 20
    )
    trees = Trees(booster.model_to_string().encode(), 6)
    np.testing.assert_array_equal(trees.scores(x)[:, 0], booster.predict(x, raw_score=True))
    theirs = booster.predict(x, pred_contrib=True)
    np.testing.assert_array_equal(trees.contributions(x)[:, 0], theirs[:, :-1])
    # Shapley values and the base value add up to the score.
    total = trees.contributions(x)[:, 0].sum(axis=1) + theirs[:, -1]
    np.testing.assert_allclose(total, trees.scores(x)[:, 0])
    with pytest.raises(IntegrityError, match="6 features"):
        Trees(booster.model_to_string().encode(), 7)


def test_members_are_averaged(table_model: TrainedRecords, tmp_path: Path) -> None:
    text = TABLE_RECIPE.replace("rounds: 60", "rounds: 60, members: 2")
    both = trained(tmp_path, text, table_model.data)
    files = both.registry.load(both.version)
    assert files["trees-0.txt"] == table_model.registry.load(table_model.version)["trees-0.txt"]
    x = np.random.default_rng(0).normal(50, 20, (9, 7)).astype(np.float32)
    one, two = (Trees(files[f"trees-{i}.txt"], 7).scores(x)[:, 0] for i in (0, 1))
    assert (one != two).any()
    logits = load_model(files, 7, 2, exclusive=True).logits(x)
    np.testing.assert_allclose(logits[:, 1], (one + two) / 2)


def test_a_damaged_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    lumps().write_csv(tmp_path / "lumps.csv")
    made = trained(tmp_path, TABLE_RECIPE, tmp_path / "lumps.csv")
    digest = made.version.manifest.artefacts["trees-0.txt"].digest
    blob = next((tmp_path / "blobs").rglob(f"*{digest[4:]}*"))
    blob.chmod(0o600)
    blob.write_bytes(b"tree\nnum_class=1\nTree=0\nnum_leaves=999999999\n")
    with pytest.raises(IntegrityError, match=r"trees-0\.txt"):
        RecordClassifier.load(made.registry, made.version)


def test_a_serving_process_imports_nothing_that_trains(table_model: TrainedRecords) -> None:
    code = f"""
import sys
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.record import parse_record
from polyclinic.registry.store import open_registry
registry = open_registry(Settings(home={str(table_model.data.parent)!r}))
model = RecordClassifier.load(registry, registry.resolve("lumps@candidate"))
answer = model.predict([parse_record({{"values": {{"size": 30, "age": 70}}}})], explain=True)[0]
assert answer.explanation
heavy = {{"torch", "sklearn", "scipy", "lightgbm", "polars"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_real_cohorts_pass_the_gate_and_are_learnt(shared_data: Path, tmp_path: Path) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    recipe = RecordRecipe.model_validate(yaml.safe_load((recipes / "mortality24.yaml").read_text()))
    registry = open_registry(Settings(home=tmp_path))
    cohorts = shared_data / "icu" / "mortality24"
    version = run(recipe, cohorts / "eicu_demo", tmp_path, registry, Silence())
    assert version.manifest.validation.metrics["auc"].value > 0.75
    elsewhere = evaluate_file(registry, version, cohorts / "mimic_demo", "tester")
    assert (elsewhere.part, elsewhere.examples) == ("external", 99)
    assert elsewhere.label_counts["dies-in-stay"] == 21
