from pathlib import Path

import numpy as np
import pytest

from pictures import spots, write_spots
from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.diagnosis.imaging.source import read_npz


def test_a_medmnist_file_becomes_parts_of_pictures_and_labels(tmp_path: Path) -> None:
    dataset = read_npz(write_spots(tmp_path / "spots.npz", train=20, held_out=10))
    assert dataset.train.x.shape == (20, 1, 16, 16)
    assert dataset.test is not None
    assert (dataset.test.x[:, 0] == spots(10, 2)[0]).all()
    assert (dataset.test.y == spots(10, 2)[1]).all()
    assert [label.code for label in dataset.labels] == ["0", "1"]


def test_the_digest_is_of_the_content_not_of_the_file(tmp_path: Path) -> None:
    first = read_npz(write_spots(tmp_path / "a.npz")).digest()
    assert first == read_npz(write_spots(tmp_path / "b.npz")).digest()
    assert first != read_npz(write_spots(tmp_path / "c.npz", train=158)).digest()


def arrays(path: Path, **changes: object) -> Path:
    good = dict(np.load(write_spots(path, train=4, held_out=4)))
    np.savez(path, **{k: v for k, v in {**good, **changes}.items() if v is not None})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"val_images": None}, "val_images"),
        ({"test_labels": np.zeros((3, 1), np.uint8)}, "test_labels"),
        ({"test_labels": np.zeros((4, 2), np.uint8)}, "test_labels"),
        ({"train_images": np.zeros((4, 16, 16), np.float32)}, "train_images"),
        ({"train_images": np.zeros((4, 16, 8), np.uint8)}, "train_images"),
        ({"train_labels": np.array([object()] * 4)}, ""),
    ],
)
def test_a_file_of_another_shape_is_refused_by_the_arrays_name(
    tmp_path: Path, changes: dict[str, object], where: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_npz(arrays(tmp_path / "bad.npz", **changes))
    assert where in f"{refused.value.where} {refused.value.detail}"


def test_no_file_and_no_npz_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_npz(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidInput):
        read_npz(tmp_path / "text.npz")
