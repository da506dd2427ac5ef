from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.settings import Range, TuneSettings
from polyclinic.learning.train.trainer import Diverged
from polyclinic.learning.train.tuning import tune

SETTINGS = TuneSettings.model_validate(
    {
        "trials": 25,
        "space": {
            "train.learning_rate": {"low": 0.001, "high": 1.0, "log": True},
            "model.width": {"low": 1, "high": 8},
            "model.cell": {"choices": ["gru", "lstm"]},
        },
    }
)


def loss(changes: dict[str, Any]) -> float:
    """Lowest at a learning rate of 0.03, width 6, a GRU."""
    rate: float = changes["train.learning_rate"]
    return (rate - 0.03) ** 2 + (changes["model.width"] - 6) ** 2 + (changes["model.cell"] != "gru")


def test_the_search_finds_structure_and_settings(tmp_path: Path) -> None:
    def run(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        return loss(changes)

    best = tune(SETTINGS, run, study="s", database=tmp_path / "tuning.db", seed=1)
    assert best["model.cell"] == "gru"
    assert abs(best["model.width"] - 6) <= 1


def test_a_search_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def run(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        if len(seen) == 10:
            raise KeyboardInterrupt
        seen.append(changes)
        return loss(changes)

    with pytest.raises(KeyboardInterrupt):
        tune(SETTINGS, run, study="s", database=tmp_path / "tuning.db", seed=1)
    before = list(seen)

    def run_on(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        seen.append(changes)
        return loss(changes)

    best = tune(SETTINGS, run_on, study="s", database=tmp_path / "tuning.db", seed=1)
    assert len(seen) == 25
    assert not any(changes in before for changes in seen[10:])
    assert loss(best) == min(map(loss, seen))


def test_a_hopeless_trial_is_ended_early(tmp_path: Path) -> None:
    epochs: list[int] = []

    def run(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        for number in range(1, 6):
            epochs.append(number)
            on_epoch(Epoch(number=number, train_loss=0.0, validation_loss=loss(changes)))
        return loss(changes)

    tune(SETTINGS, run, study="s", database=tmp_path / "tuning.db", seed=1)
    assert len(epochs) < 25 * 5


def test_a_trial_that_diverges_is_ended_and_the_search_goes_on(tmp_path: Path) -> None:
    def run(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        if changes["model.cell"] == "lstm":
            raise Diverged("The loss is no longer a number.")
        return loss(changes)

    best = tune(SETTINGS, run, study="s", database=tmp_path / "tuning.db", seed=1)
    assert best["model.cell"] == "gru"


def test_a_search_without_one_whole_trial_says_so(tmp_path: Path) -> None:
    def run(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        raise Diverged("The loss is no longer a number.")

    with pytest.raises(InvalidInput, match="No trial"):
        tune(SETTINGS, run, study="s", database=tmp_path / "tuning.db", seed=1)


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError):
        Range(low=2, high=1)
