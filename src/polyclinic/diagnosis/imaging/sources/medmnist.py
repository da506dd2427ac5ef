"""MedMNIST `.npz` files: the 2-D sets with one label a picture or several, of any size and colour.

Source: Yang et al. 2023, MedMNIST v2, Scientific Data 10, 41.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyclinic.core.errors import InvalidInput, NotFound, UnsupportedInput
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.imaging.readers.picture import Picture
from polyclinic.diagnosis.imaging.sources.labelling import UNNAMED
from polyclinic.diagnosis.imaging.sources.listing import Wanted
from polyclinic.learning.labels import Labels, multi_label
from polyclinic.learning.prepare.dataset import Dataset, Part


def read_medmnist(path: Path, wanted: Wanted) -> Dataset:
    """A file of the arrays `{train,val,test}_{images,labels}`.

    Pictures become (n, channels, size, size) uint8, as they are unless another size or number of
    channels is wanted. Labels (n,) or (n, 1) are numbers, one a picture; (n, k) say with 0 and 1
    which of k labels are true. Without wanted labels each number is its own name.
    Raises `NotFound`, or `InvalidInput` naming the file and the array.
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
    parts = {
        part: Part(
            _fitted(_pictures(arrays[f"{part}_images"], f"{path}, {part}_images"), wanted),
            _labels(arrays[f"{part}_labels"], len(arrays[f"{part}_images"]), path, part),
        )
        for part in ("train", "val", "test")
    }
    count = _label_count([part.y for part in parts.values()], wanted, str(path))
    return Dataset(
        name=wanted.name,
        labels=wanted.labels
        or tuple(Coding(system=UNNAMED, code=str(i), display=str(i)) for i in range(count)),
        train=parts["train"],
        validation=parts["val"],
        test=parts["test"],
        licence=wanted.licence,
        source=wanted.source,
    )


def _pictures(pictures: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    """Pictures (n, channels, size, size)."""
    shape = pictures.shape
    if pictures.ndim == 5 or (pictures.ndim == 4 and shape[1] == shape[2] == shape[3] > 3):
        raise UnsupportedInput(
            f"Volumes {shape[1:]} are not read here, only pictures.", where=where
        )
    grey = pictures.ndim == 3
    if pictures.dtype != np.uint8 or not (grey or (pictures.ndim == 4 and shape[3] in (1, 3))):
        raise InvalidInput(
            f"Pictures must be (n, h, w) or (n, h, w, 3) uint8; these are {shape} "
            f"{pictures.dtype}.",
            where=where,
        )
    if not len(pictures) or shape[1] != shape[2]:
        raise InvalidInput(f"Pictures must be square, and some: these are {shape}.", where=where)
    x = pictures[:, None] if grey else pictures.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(x, dtype=np.uint8)


def _labels(labels: NDArray[np.generic], n: int, path: Path, part: str) -> Labels:
    where = f"{path}, {part}_labels"
    if labels.ndim == 2 and labels.shape[1] > 1:
        if len(labels) != n or labels.dtype.kind not in "biu" or not np.isin(labels, (0, 1)).all():
            raise InvalidInput(
                f"Each of several labels of {n} pictures must be 0 or 1; these are {labels.shape} "
                f"{labels.dtype}.",
                where=where,
            )
        return labels.astype(np.bool_)
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "iu":
        raise InvalidInput(
            f"There must be one whole-number label a picture; these are {labels.shape} "
            f"{labels.dtype}.",
            where=where,
        )
    return labels.reshape(-1).astype(np.int64)


def _label_count(ys: list[Labels], wanted: Wanted, where: str) -> int:
    """How many labels there are; of multi-label data every part, and who asks, must agree."""
    if not (wanted.multi_label or any(multi_label(y) for y in ys)):
        return 1 + max(int(y.max(initial=0)) for y in ys)
    counts = {y.shape[1] if multi_label(y) else 1 for y in ys}
    expected = len(wanted.labels) if wanted.labels else max(counts)
    if counts != {expected} or expected < 2:
        raise InvalidInput(
            f"Each picture of every part must have {max(expected, 2)} labels at once, not "
            f"{' or '.join(map(str, sorted(counts)))}.",
            where=where,
        )
    return expected


def _fitted(x: NDArray[np.uint8], wanted: Wanted) -> NDArray[np.uint8]:
    channels, size = wanted.channels or x.shape[1], wanted.size or x.shape[2]
    if x.shape[1:] == (channels, size, size):
        return x
    pictures = x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1)
    return np.stack([Picture(Image.fromarray(each)).fitted(channels, size) for each in pictures])
