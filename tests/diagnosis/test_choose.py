"""What a recipe may leave open, or ask for more than once: auto, members, views."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from trained_spots import Silence, Trained

from pictures import RECIPE, spots
from polyclinic.core.errors import InvalidInput
from polyclinic.core.settings import Settings, settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.steps.choose import choose, tried
from polyclinic.diagnosis.imaging.steps.prepare import prepare
from polyclinic.diagnosis.imaging.steps.run import run
from polyclinic.diagnosis.imaging.steps.train import build, run_folder, train
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.recipe import parse_recipe
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.registry.store import open_registry


def recipe(**changes: object) -> ImageRecipe:
    content = yaml.safe_load(RECIPE) | changes
    content = {key: value for key, value in content.items() if value is not None}
    return parse_recipe(content, ImageRecipe, "recipe")


def open_to(minutes: float, *candidates: dict[str, object]) -> ImageRecipe:
    return recipe(model=None, auto={"minutes": minutes, "candidates": list(candidates)})


SMALL: dict[str, object] = {"name": "residual", "width": 4, "blocks": 1}
TINY: dict[str, object] = {"name": "simple_cnn", "filters": 1}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints rest in a folder of the test's own."""
    monkeypatch.setenv("POLYCLINIC_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def dataset(trained: Trained) -> Dataset:
    return prepare(trained.recipe, trained.data, Path()).dataset


def test_auto_takes_the_lowest_validation_loss_and_says_why(dataset: Dataset) -> None:
    heard: list[tuple[int, float]] = []
    chosen, why = choose(open_to(5, TINY, SMALL), dataset, lambda *said: heard.append(said))
    assert chosen.network.name == "residual"
    assert chosen.auto is None
    assert "chosen of 2 networks" in why
    assert "simple_cnn filters=1" in why
    assert [number for number, _ in heard] == [1, 2]
    assert heard[1][1] < heard[0][1]


def _checkpoint(trained: ImageRecipe, dataset: Dataset) -> Path:
    return run_folder(trained, dataset) / "checkpoint.safetensors"


def test_what_auto_trained_is_not_trained_again(dataset: Dataset) -> None:
    open_recipe = open_to(5, TINY, SMALL)
    first, why = choose(open_recipe, dataset, lambda *_: None)
    written = [_checkpoint(each, dataset).stat().st_mtime_ns for each in tried(open_recipe)]
    again, why_again = choose(open_recipe, dataset, lambda *_: None)
    assert (again, why_again) == (first, why)
    assert written == [_checkpoint(each, dataset).stat().st_mtime_ns for each in tried(open_recipe)]
    heard: list[Epoch] = []
    train(first, dataset, build(first, dataset), heard.append)
    assert not heard


def test_auto_stops_at_its_time_and_judges_by_what_there_is(dataset: Dataset) -> None:
    chosen, why = choose(open_to(1e-6, SMALL, TINY), dataset, lambda *_: None)
    assert chosen.network.name == "residual"
    assert "stopped by the time after 1 epochs" in why
    assert "simple_cnn filters=1: no epoch within the time" in why


def test_a_finished_run_leaves_no_checkpoint_of_what_it_tried(
    trained: Trained, tmp_path: Path
) -> None:
    space = {"trials": 1, "space": {"train.label_smoothing": {"low": 0.01, "high": 0.02}}}
    brief = recipe(
        model=None,
        auto={"candidates": [TINY, SMALL]},
        train={"epochs": 1},
        tune=space,
    )
    run(brief, trained.data, tmp_path, open_registry(Settings(home=tmp_path)), Silence())
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tuning.db"]


def test_a_recipe_names_a_network_or_leaves_it_open() -> None:
    with pytest.raises(InvalidInput, match=r"^recipe: give either a model or auto"):
        recipe(model=None)
    with pytest.raises(InvalidInput, match="either a model or auto"):
        recipe(auto={"minutes": 1})


def test_members_and_views_are_averaged_in_the_network_that_serves(
    trained: Trained, tmp_path: Path
) -> None:
    several = recipe(serve={"members": 2, "mirror": True}, auto=None)
    registry = open_registry(Settings(home=tmp_path))
    version = run(several, trained.data, tmp_path, registry, Silence())
    training = version.manifest.training
    assert training["members"] == 2
    assert training["parameters"] == 2 * trained.version.manifest.training["parameters"]
    model = ImageClassifier.load(registry, version)
    pictures = spots(40, 9)[0][:, None]
    plain, mirrored = (
        model.score(np.ascontiguousarray(x)) for x in (pictures, pictures[..., ::-1])
    )
    assert plain.probabilities == pytest.approx(mirrored.probabilities, abs=1e-4)
    assert plain.maps == pytest.approx(mirrored.maps[..., ::-1], abs=1e-3)
    # The first member is the model of the same recipe without others: familiarity is its.
    alone = ImageClassifier.load(trained.registry, trained.version).score(pictures)
    assert plain.features == pytest.approx(alone.features, abs=1e-3)
