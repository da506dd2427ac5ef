"""Several labels a picture, grades, colour, a folder of a user's own: through all five steps."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from trained_spots import Silence

from pictures import RECIPE, encode
from polyclinic.core.errors import Conflict, InvalidInput
from polyclinic.core.prediction import Prediction
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate_file
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.shift import pictures_shift
from polyclinic.diagnosis.imaging.steps.run import run
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.card import model_card
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion

SIZE = 16

Marked: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def marked(n: int, seed: int) -> Marked:
    """Grey noise (n, size, size); a bright spot, a dark spot, both or neither: labels (n, 2)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=(n, 2)).astype(np.uint8)
    pictures = rng.normal(120, 15, (n, SIZE, SIZE))
    down, across = np.mgrid[:SIZE, :SIZE]
    for row in range(n):
        for label, sign in enumerate((1, -1)):
            if labels[row, label]:
                top, left = rng.uniform(4, SIZE - 4, 2)
                pictures[row] += (
                    sign * 110 * np.exp(-((down - top) ** 2 + (across - left) ** 2) / 6)
                )
    return pictures.clip(0, 255).astype(np.uint8), labels


def graded(n: int, seed: int) -> Marked:
    """Colour noise (n, size, size, 3), of which green is brighter with every grade of three."""
    rng = np.random.default_rng(seed)
    grades = np.arange(n) % 3
    pictures = rng.normal(100, 20, (n, SIZE, SIZE, 3))
    pictures[..., 1] += 30 * grades[:, None, None]
    return pictures.clip(0, 255).astype(np.uint8), grades[:, None].astype(np.uint8)


def trained(
    folder: Path, make: Callable[[int, int], Marked], **data: object
) -> tuple[Registry, ModelVersion, ImageClassifier, Path]:
    arrays = {}
    for seed, (part, n) in enumerate({"train": 240, "val": 120, "test": 120}.items()):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = make(n, seed)
    path = folder / "data.npz"
    np.savez(path, **arrays)
    content = yaml.safe_load(RECIPE)
    content["data"] = {"name": "generated", **data}
    content["train"]["epochs"] = 10
    registry = open_registry(Settings(home=folder))
    recipe = parse_recipe(content, ImageRecipe, "recipe")
    version = run(recipe, path, folder, registry, Silence())
    return registry, version, ImageClassifier.load(registry, version), path


def test_several_labels_a_picture_are_found_each_on_its_own(tmp_path: Path) -> None:
    labels = [
        {"system": "urn:test", "code": code, "display": code.title()} for code in ("bright", "dark")
    ]
    registry, version, model, path = trained(tmp_path, marked, labels=labels, multi_label=True)
    evaluation = evaluate_file(registry, version, path, "tester")
    assert evaluation.part == "test"
    assert evaluation.metrics["auc"].value > 0.9
    assert "exact_match" in evaluation.metrics
    for coverage in evaluation.conformal.coverage_by_label.values():
        assert coverage.value > 0.8
    assert evaluation.robustness is not None
    pictures, truth = marked(60, 9)
    answers = model.predict([encode(picture) for picture in pictures], explain=False)
    for code, mine in zip(("bright", "dark"), truth.T, strict=True):
        present = [
            next(f.present for f in answer.findings if f.coding.code == code)
            for answer in answers
            if isinstance(answer, Prediction)
        ]
        assert np.mean(np.array(present) == mine) > 0.8
    both = int(np.flatnonzero(truth.all(axis=1))[0])
    (answer,) = model.predict([encode(pictures[both])], explain=True)
    assert isinstance(answer, Prediction)
    assert sum(finding.probability for finding in answer.findings) > 1.1
    assert answer.explanation is not None
    assert answer.explanation.method == "masking"
    folder = tmp_path / "site"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(encode(picture))
    found = pictures_shift(registry, version, [folder])
    assert found.estimate is None
    assert not found.alarm
    with pytest.raises(Conflict, match="Several labels"):
        found.reweighting()
    card = model_card(version, registry.evaluations(version), ())
    for page in (card.markdown(), card.html()):
        assert "All labels right" in page


def test_a_recipe_must_know_that_there_are_several_labels_a_picture(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="several labels a picture"):
        trained(tmp_path, marked)


def test_grades_in_colour_are_measured_as_grades(tmp_path: Path) -> None:
    registry, version, model, path = trained(tmp_path, graded, ordinal=True, findings=["1", "2"])
    assert (model.spec.channels, model.spec.findings) == (3, ("1", "2"))
    evaluation = evaluate_file(registry, version, path, "tester")
    assert evaluation.metrics["quadratic_kappa"].value > 0.8
    assert evaluation.metrics["mean_absolute_error"].value < 0.3


RECIPE_OF_A_USER = """\
name: leaves
kind: diagnosis.image
licence: Apache-2.0
data: {name: Leaves, licence: CC0-1.0, source: generated, findings: [mildew], size: 24}
auto: {minutes: 0.3, candidates: [{name: residual, width: 4, blocks: 1}]}
augment: {rotate: 90, mirror: true}
train: {epochs: 8, batch_size: 16, learning_rate: 0.01, schedule: one-cycle, averaging: 0.9}
card: {title: Mildew on leaves}
"""


def leaf(rng: np.random.Generator, mildew: bool) -> Image.Image:
    """A green ellipse, with white flecks where it has mildew."""
    down, across = np.mgrid[:40, :48]
    inside = ((down - 20) / 15) ** 2 + ((across - 24) / 20) ** 2 < 1
    pixels = np.full((40, 48, 3), 200.0) + rng.normal(0, 8, (40, 48, 3))
    pixels[inside] = rng.normal((60, 130, 50), 12, (inside.sum(), 3))
    if mildew:
        for _ in range(5):
            top, left = rng.uniform((12, 12), (28, 36))
            pixels[(down - top) ** 2 + (across - left) ** 2 < 9] = 235
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user's own: pictures in two folders, and a file that is none."""
    home = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    for name in ("healthy", "mildew"):
        (home / "leaves" / name).mkdir(parents=True)
        for number in range(130):
            leaf(rng, name == "mildew").save(home / "leaves" / name / f"{number}.jpg", quality=90)
    (home / "leaves" / "mildew" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (home / "leaves.yaml").write_text(RECIPE_OF_A_USER)
    return home


def test_a_folder_becomes_an_explained_model_by_a_short_recipe_and_two_commands(
    leaves: Path,
) -> None:
    assert len(RECIPE_OF_A_USER.splitlines()) <= 20
    leaf(np.random.default_rng(7), True).save(leaves / "new.png")

    def polyclinic(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "polyclinic", *map(str, arguments), "--json"],
            env={**os.environ, "POLYCLINIC_HOME": str(leaves / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    trained = polyclinic("train", leaves / "leaves.yaml", "--data", leaves / "leaves")
    assert trained.returncode == 0, trained.stderr
    validation = json.loads(trained.stdout)["validation"]
    assert validation["metrics"]["auc"]["value"] > 0.9
    notes = " ".join(validation["notes"])
    assert "broken.jpg" in notes
    assert "was chosen of 1 networks" in notes
    command = ("diagnose", "image", leaves / "new.png", "--model", "leaves@candidate")
    answered = polyclinic(*command, "--heatmap", leaves / "maps")
    assert answered.returncode == 0, answered.stderr
    (result,) = json.loads(answered.stdout)["results"]
    prediction = Prediction.model_validate(result["prediction"], strict=False)
    assert [finding.coding.display for finding in prediction.findings] == ["mildew"]
    assert prediction.findings[0].present
    assert prediction.explanation is not None
    heat = Image.open(io.BytesIO(base64.b64decode(prediction.explanation.content)))
    assert heat.size == (224, 224)
