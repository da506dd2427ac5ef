"""Sources of pictures: MedMNIST files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictures import spots, write_spots
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.imaging.source import read_source

LABELS = (
    Coding(system="urn:test", code="N0", display="normal"),
    Coding(system="urn:test", code="S1", display="spot"),
)


def test_a_medmnist_file_becomes_parts_of_pictures_and_labels(tmp_path: Path) -> None:
    dataset = read_source(write_spots(tmp_path / "spots.npz", train=20, held_out=10)).dataset
    assert dataset.train.x.shape == (20, 1, 16, 16)
    assert dataset.test is not None
    assert (dataset.test.x[:, 0] == spots(10, 2)[0]).all()
    assert (dataset.test.y == spots(10, 2)[1]).all()
    assert [label.code for label in dataset.labels] == ["0", "1"]


def test_the_digest_is_of_the_content_not_of_the_file(tmp_path: Path) -> None:
    first = read_source(write_spots(tmp_path / "a.npz")).dataset.digest()
    assert first == read_source(write_spots(tmp_path / "b.npz")).dataset.digest()
    assert first != read_source(write_spots(tmp_path / "c.npz", train=158)).dataset.digest()


def arrays(path: Path, **changes: Any) -> Path:
    good = dict(np.load(write_spots(path, train=4, held_out=4)))
    np.savez(path, **{k: v for k, v in {**good, **changes}.items() if v is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"val_images": None}, "val_images"),
        ({"test_labels": np.zeros((3, 1), np.uint8)}, "test_labels"),
        ({"test_labels": np.zeros((4, 14), np.uint8)}, "14 labels at once"),
        ({"train_images": np.zeros((4, 16, 16), np.float32)}, "train_images"),
        ({"train_images": np.zeros((4, 16, 8), np.uint8)}, "train_images"),
        ({"train_images": np.zeros((4, 28, 28, 28), np.uint8)}, "Volumes"),
        ({"train_images": np.uint8(3)}, "train_images"),
        ({"train_labels": np.array([object()] * 4)}, ""),
    ],
)
def test_a_file_of_another_shape_is_refused_by_the_arrays_name(
    tmp_path: Path, changes: dict[str, object], where: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_source(arrays(tmp_path / "bad.npz", **changes))
    assert where in f"{refused.value.where} {refused.value.detail}"


def several_labels(path: Path, train: int = 40, **changes: Any) -> Path:
    """A file like ChestMNIST's: of 14 labels none, one or several are true."""
    rng = np.random.default_rng(0)
    counts = {"train": train, "val": 20, "test": 20}
    made: dict[str, Any] = {}
    for part, n in counts.items():
        made[f"{part}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        made[f"{part}_labels"] = (rng.random((n, 14)) < 0.2).astype(np.int64)
    np.savez(path, **{**made, **changes})
    return path


def test_a_medmnist_file_with_several_labels_a_picture_is_multi_label(tmp_path: Path) -> None:
    path = several_labels(tmp_path / "chest.npz")
    dataset = read_source(path).dataset
    assert dataset.multi_label
    assert len(dataset.labels) == 14
    assert (dataset.train.y.shape, dataset.train.y.dtype) == ((40, 14), np.bool_)
    with np.load(path) as file:
        assert np.array_equal(dataset.train.y, file["train_labels"] == 1)
    assert not read_source(write_spots(tmp_path / "spots.npz")).dataset.multi_label


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"val_labels": np.full((20, 14), 2)}, "must be 0 or 1"),
        ({"val_labels": np.full((20, 14), 0.5)}, "must be 0 or 1"),
        ({"val_labels": np.zeros((19, 14), np.int64)}, "of 20 pictures"),
        ({"val_labels": np.zeros((20, 3), np.int64)}, "14 labels at once, not 3 or 14"),
    ],
)
def test_several_labels_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_source(several_labels(tmp_path / "bad.npz", **changes))


def test_several_labels_must_be_those_that_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must have 2 labels at once, not 14"):
        read_source(several_labels(tmp_path / "chest.npz"), LABELS)
    with pytest.raises(InvalidInput, match="2 labels at once, not 1"):
        read_source(write_spots(tmp_path / "spots.npz"), multi_label=True)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (64, 3), (224, 3)])
def test_every_size_and_colour_of_medmnist_is_read_and_fitted_on_wish(
    tmp_path: Path, size: int, channels: int
) -> None:
    rng = np.random.default_rng(0)
    shape = (6, size, size) if channels == 1 else (6, size, size, 3)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    changes = {f"{part}_images": images for part in ("train", "val", "test")}
    labels = {f"{part}_labels": np.arange(6)[:, None] % 5 for part in ("train", "val", "test")}
    path = arrays(tmp_path / "set.npz", **changes, **labels)
    dataset = read_source(path).dataset
    assert dataset.train.x.shape == (6, channels, size, size)
    assert len(dataset.labels) == 5
    assert read_source(path, size=32, channels=1).dataset.train.x.shape == (6, 1, 32, 32)
