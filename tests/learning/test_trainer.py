import multiprocessing
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.train.classification import Classification, balanced_weights
from polyclinic.learning.train.settings import TrainSettings
from polyclinic.learning.train.trainer import Trained, train

SETTINGS = TrainSettings(
    epochs=40, batch_size=16, schedule="one-cycle", learning_rate=0.01, averaging=0.9
)


def part(n: int, seed: int) -> Part:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    x[:, 0] += 2 * y
    return Part(x, y)


def network() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 2)
    )


def jitter(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=generator)


def run(settings: TrainSettings, checkpoint: Path | None = None, seed: int = 1) -> Trained:
    objective = Classification(part(400, 0), part(200, 1), 2, settings, Tensor.float, jitter)
    return train(network(), objective, settings, seed=seed, run="run", checkpoint=checkpoint)


def weights(trained: Trained) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in trained.network.state_dict().items()}


def test_a_training_killed_ten_times_ends_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed = run(SETTINGS)
    checkpoint = tmp_path / "checkpoint.safetensors"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "polyclinic.learning.train.trainer"])
    chance = random.Random(5)
    kills = 0
    while kills < 10:
        process = context.Process(target=run, args=(SETTINGS, checkpoint))
        process.start()
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        # Let the run come at least one epoch further in three of four lives, then strike anywhere.
        while (
            kills % 4
            and process.is_alive()
            and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before)
        ):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        assert process.is_alive(), "the run ended before the tenth kill"
        process.kill()
        process.join()
        kills += 1
    resumed = run(SETTINGS, checkpoint)
    assert weights(resumed) == weights(undisturbed)
    assert resumed.progress == undisturbed.progress


def test_the_seed_alone_decides_the_weights() -> None:
    assert weights(run(SETTINGS)) == weights(run(SETTINGS))
    assert weights(run(SETTINGS, seed=2)) != weights(run(SETTINGS))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_every_optimiser_and_schedule_learns_and_resumes(
    optimizer: str, schedule: str, tmp_path: Path
) -> None:
    settings = TrainSettings.model_validate(
        {"epochs": 4, "batch_size": 16, "optimizer": optimizer, "schedule": schedule}
    )
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = run(settings)
    losses = [epoch.train_loss for epoch in whole.progress.history]
    assert losses[-1] < losses[0]

    class Stop(Exception):
        pass

    def stop_after_two(epoch: object) -> None:
        if getattr(epoch, "number", 0) == 2:
            raise Stop

    objective = Classification(part(400, 0), part(200, 1), 2, settings, Tensor.float, jitter)
    with pytest.raises(Stop):
        train(
            network(),
            objective,
            settings,
            seed=1,
            run="run",
            checkpoint=checkpoint,
            on_epoch=stop_after_two,
        )
    assert weights(run(settings, checkpoint)) == weights(whole)


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    settings = TrainSettings(epochs=200, batch_size=16, learning_rate=0.05, patience=3)
    trained = run(settings)
    best = trained.progress.best
    assert best is not None
    assert len(trained.progress.history) == best.number + 3 < 200
    objective = Classification(part(400, 0), part(200, 1), 2, settings, Tensor.float)
    assert objective.validation_loss(trained.network) == pytest.approx(best.validation_loss)


def test_a_damaged_checkpoint_or_one_of_another_run_is_refused_by_name(tmp_path: Path) -> None:
    settings = TrainSettings(epochs=1, batch_size=16)
    checkpoint = tmp_path / "checkpoint.safetensors"
    run(settings, checkpoint)
    objective = Classification(part(400, 0), part(200, 1), 2, settings, Tensor.float)
    with pytest.raises(IntegrityError, match="another run"):
        train(network(), objective, settings, seed=1, run="other", checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="damaged") as refused:
        run(settings, checkpoint)
    assert refused.value.where == str(checkpoint)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_epoch() -> None:
    settings = TrainSettings(epochs=3, batch_size=16, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(InvalidInput) as refused:
        run(settings)
    assert refused.value.where == "epoch 1"


def test_balanced_weights_give_every_label_the_same_say() -> None:
    y = np.array([0] * 90 + [1] * 10)
    assert balanced_weights(y, 2) * np.array([90, 10]) == pytest.approx([50, 50])
    assert balanced_weights(np.array([0, 0]), 2)[1] == 0
