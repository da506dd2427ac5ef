"""Data sets of pictures: MedMNIST `.npz` files."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.core.prediction import Coding
from polyclinic.learning.prepare.dataset import Dataset, Part

#: The code system of labels that a file gives by number alone.
UNNAMED = "urn:polyclinic:label"


def read_npz(
    path: Path,
    labels: tuple[Coding, ...] | None = None,
    *,
    name: str | None = None,
    licence: str = "not stated",
    source: str = "not stated",
) -> Dataset:
    """A MedMNIST file: arrays `{train,val,test}_{images,labels}`.

    Pictures become (n, channels, size, size) uint8. Without `labels` each number is its own name.
    Raises `NotFound` or `InvalidInput` naming the file and the array.
    """
    if not path.is_file():
        raise NotFound("There is no such data file.", where=str(path))
    arrays: dict[str, NDArray[np.generic]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for part in ("train", "val", "test"):
                for kind in ("images", "labels"):
                    arrays[f"{part}_{kind}"] = file[f"{part}_{kind}"]
    except KeyError as error:
        raise InvalidInput(
            f"The file lacks an array: {error.args[0]}",
            where=str(path),
            remedy="Give a file with {train,val,test}_{images,labels}.",
        ) from None
    except (ValueError, OSError, zipfile.BadZipFile, EOFError):
        raise InvalidInput(
            "Not a readable .npz file of plain arrays.",
            where=str(path),
            remedy="Give a file with {train,val,test}_{images,labels}, whole and without objects.",
        ) from None
    parts = {part: _part(arrays, part, path) for part in ("train", "val", "test")}
    count = 1 + max(int(part.y.max(initial=0)) for part in parts.values())
    return Dataset(
        name=name or path.stem,
        labels=labels
        or tuple(Coding(system=UNNAMED, code=str(i), display=str(i)) for i in range(count)),
        train=parts["train"],
        validation=parts["val"],
        test=parts["test"],
        licence=licence,
        source=source,
    )


def _part(arrays: dict[str, NDArray[np.generic]], part: str, path: Path) -> Part:
    pictures, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    where = f"{path}, {part}_images"
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4) or not len(pictures):
        raise InvalidInput(
            f"Pictures must be (n, h, w) or (n, h, w, 3) uint8; these are {pictures.shape} "
            f"{pictures.dtype}.",
            where=where,
        )
    if pictures.shape[1] != pictures.shape[2]:
        raise InvalidInput(f"Pictures must be square, not {pictures.shape[1:3]}.", where=where)
    if labels.shape not in ((len(pictures),), (len(pictures), 1)) or labels.dtype.kind not in "iu":
        raise InvalidInput(
            f"There must be one whole-number label a picture; these are {labels.shape} "
            f"{labels.dtype}.",
            where=f"{path}, {part}_labels",
        )
    x = pictures[:, None] if pictures.ndim == 3 else pictures.transpose(0, 3, 1, 2)
    return Part(np.ascontiguousarray(x), labels.reshape(-1).astype(np.int64))
