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
from polyclinic.learning.train.classification import Classification, balanced_weights, logits
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


def several(n: int, seed: int) -> Part:
    """Three labels, each told by one value of the input, the last one rare."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, 3)) < [0.5, 0.3, 0.05]
    x = rng.normal(size=(n, 8)).astype(np.float32)
    x[:, :3] += 3 * y
    return Part(x, y)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_several_labels_are_learnt_each_as_a_question_of_its_own(class_weights: str) -> None:
    settings = TrainSettings.model_validate(
        {"epochs": 30, "batch_size": 32, "learning_rate": 0.02, "class_weights": class_weights}
    )
    objective = Classification(several(600, 0), several(300, 1), 3, settings, Tensor.float)
    torch.manual_seed(0)
    trained = train(nn.Linear(8, 3), objective, settings, seed=0, run="run")
    test = several(2000, 2)
    p = torch.sigmoid(logits(trained.network, test.x, Tensor.float)).numpy()
    for label, present in enumerate(test.truth(3).T):
        called = p[:, label] > 0.5
        sensitivity, specificity = called[present].mean(), (~called)[~present].mean()
        assert (sensitivity + specificity) / 2 > 0.85 or (label, class_weights) == (2, "none")
        if class_weights == "balanced":
            assert sensitivity > 0.8
    assert p.sum(axis=1).max() > 1.5


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_one_of_several_labels_costs_what_two_exclusive_ones_do(
    class_weights: str, label_smoothing: float
) -> None:
    settings = TrainSettings.model_validate(
        {"class_weights": class_weights, "label_smoothing": label_smoothing}
    )
    exclusive = part(60, 0)
    alone = Part(exclusive.x, exclusive.truth(2)[:, 1:])

    class Margin(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1]

    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x[:, :1]), x[:, :1]], dim=1)

    rows, chance = torch.arange(60), torch.Generator()
    costs = [
        Classification(data, data, labels, settings, Tensor.float).loss(network, rows, chance)
        for data, labels, network in ((exclusive, 2, Both()), (alone, 1, Margin()))
    ]
    assert costs[1].item() == pytest.approx(costs[0].item(), rel=1e-5)
