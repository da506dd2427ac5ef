"""`auto:` and `tune:`: models of records are compared, and settings searched, on their own data."""

import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from patient_records import TABLE_RECIPE, lumps
from trained_records import TrainedRecords, trained

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Prediction
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.record import parse_record

TREES = "model: {name: lightgbm, rounds: 60, leaves: 4, min_rows: 5}"
AUTO = """\
auto:
  folds: 2
  candidates:
    - {name: lightgbm, rounds: 30, leaves: 4, min_rows: 5}
    - {name: recurrent, steps: 4}
"""


def test_auto_compares_models_with_the_dull_baselines_and_says_why(
    tmp_path: Path, table_model: TrainedRecords
) -> None:
    made = trained(tmp_path, TABLE_RECIPE.replace(TREES, AUTO), table_model.data)
    recipe = yaml.safe_load(made.version.manifest.recipe)
    why = next(note for note in made.version.manifest.validation.notes if "was chosen" in note)
    assert recipe["auto"] is None
    assert why.startswith(recipe["model"]["name"])
    assert recipe["model"]["name"] != "prevalence"
    # A table has no series for a network to read.
    assert "of 3 models" in why
    for name in ("prevalence", "logistic", "lightgbm"):
        assert f"{name}" in why
    assert "on patients that had no part in it" in why


def test_choosing_by_labels_of_chance_is_told_to_be_worth_nothing(tmp_path: Path) -> None:
    table = lumps()
    shuffled = table["malignant"].shuffle(seed=3)
    table.with_columns(malignant=shuffled).write_csv(tmp_path / "noise.csv")
    made = trained(tmp_path, TABLE_RECIPE.replace(TREES, AUTO), tmp_path / "noise.csv")
    why = next(note for note in made.version.manifest.validation.notes if "was chosen" in note)
    worth = re.search(r"worth log loss [0-9.]+, AUROC ([0-9.]+)", why)
    assert worth is not None
    assert 0.4 < float(worth[1]) < 0.6


def test_a_search_finds_settings_and_keeps_them_in_the_recipe(
    tmp_path: Path, table_model: TrainedRecords
) -> None:
    space = """\
tune:
  trials: 3
  space:
    model.leaves: {low: 2, high: 6}
"""
    made = trained(tmp_path, TABLE_RECIPE.replace("trust:", space + "trust:"), table_model.data)
    recipe = yaml.safe_load(made.version.manifest.recipe)
    assert recipe["tune"] is None
    assert 2 <= recipe["model"]["leaves"] <= 6


def test_a_path_that_no_recipe_has_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    space = "tune: {trials: 1, space: {model.leafs: {low: 2, high: 6}}}\n"
    with pytest.raises(InvalidInput, match="leafs"):
        trained(tmp_path, TABLE_RECIPE.replace("trust:", space + "trust:"), tmp_path / "none.csv")


def test_a_network_over_a_table_is_refused() -> None:
    text = TABLE_RECIPE.replace(TREES, "model: {name: recurrent}")
    with pytest.raises(ValueError, match="a table has none"):
        RecordRecipe.model_validate(yaml.safe_load(text))


def test_several_labels_of_a_table_are_told_apart(tmp_path: Path) -> None:
    grades = pl.when(pl.col("size") > 25).then(pl.lit("large")).when(pl.col("size") > 15)
    table = (
        lumps()
        .drop_nulls("size")
        .with_columns(malignant=grades.then(pl.lit("medium")).otherwise(pl.lit("small")))
        # Else the size would tell the label by itself, which the gate refuses.
        .with_columns(size=pl.col("size") + pl.col("age") / 10)
    )
    table.write_csv(tmp_path / "grades.csv")
    first = TABLE_RECIPE.index("  labels:")
    last = TABLE_RECIPE.index("  columns:")
    labels = "".join(
        f'    - {{system: "urn:test", code: {word}, display: {word}}}\n'
        for word in ("small", "medium", "large")
    )
    text = TABLE_RECIPE[:first] + "  labels:\n" + labels + TABLE_RECIPE[last:]
    made = trained(tmp_path, text, tmp_path / "grades.csv")
    assert made.version.manifest.validation.metrics["auc"].value > 0.9


def test_of_a_table_none_one_or_several_labels_can_be_true(tmp_path: Path) -> None:
    old = pl.when(pl.col("age") > 60).then(pl.lit("old"))
    large = pl.when(pl.col("size") > 20).then(pl.lit("large"))
    table = lumps(600).drop_nulls("size")
    shaken = table.with_columns(
        malignant=pl.concat_str(old, large, separator=" | ", ignore_nulls=True),
        # Else they would tell the labels by themselves, which the gate refuses.
        age=pl.col("age") + pl.col("crea") * 20,
        size=pl.col("size") + pl.col("crea") * 10,
    )
    unknown = shaken.head(1).with_columns(malignant=pl.lit("old|huge"), person=pl.lit("odd"))
    pl.concat([shaken, unknown]).write_csv(tmp_path / "several.csv")
    first, last = TABLE_RECIPE.index("  labels:"), TABLE_RECIPE.index("  columns:")
    labels = "".join(
        f'    - {{system: "urn:test", code: {word}, display: {word}}}\n'
        for word in ("old", "large")
    )
    text = f"{TABLE_RECIPE[:first]}  multi_label: true\n  labels:\n{labels}{TABLE_RECIPE[last:]}"
    made = trained(tmp_path, text, tmp_path / "several.csv")
    validation = made.version.manifest.validation
    assert validation.metrics["auc"].value > 0.9
    assert any("malignant: 1 rows have none" in note for note in validation.notes)
    model = RecordClassifier.load(made.registry, made.version)
    values = {"age": 88.0, "size": 60.0, "crea": 1.0, "sex": "Male", "site": "left"}
    (answer,) = model.predict([parse_record({"values": values})], explain=True)
    assert isinstance(answer, Prediction)
    assert all(finding.present for finding in answer.findings)
    assert len(answer.findings) == 2
