"""A PyTorch checkpoint, read without PyTorch and without running anything that is in it.

Such a file is a ZIP archive with a pickle of its structure and the tensors' bytes beside it. Here
the pickle may build dictionaries, lists, plain values and arrays; whatever else it names becomes an
`Inert` that knows its name only. So no class of chemprop, lightning or torchmetrics is needed.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError

_STORAGES = {"FloatStorage": np.dtype(np.float32), "LongStorage": np.dtype(np.int64)}
_PICKLE = "data.pkl"


class Inert(dict[Any, Any]):
    """What stands for an object of a class that is not read: its items, and the class's name."""

    of_class = ""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Forget it."""


def read_checkpoint(content: bytes) -> dict[str, Any]:
    """The checkpoint's dictionary, tensors as arrays. Raises `IntegrityError` for another file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = _Reader(archive).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"The file is not a checkpoint of PyTorch: {error}") from None
    if not isinstance(found, dict):
        raise IntegrityError("The file is not a checkpoint of PyTorch: it holds no dictionary.")
    return found


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile) -> None:
        (name,) = (each for each in archive.namelist() if each.endswith("/" + _PICKLE))
        super().__init__(io.BytesIO(archive.read(name)))
        self._archive = archive
        self._folder = name.removesuffix(_PICKLE)

    def find_class(self, module: str, name: str) -> Any:
        """Never an import: the few things that are allowed, else an `Inert`."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _array
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return type(name, (Inert,), {"of_class": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> NDArray[np.generic]:
        """A tensor's storage, from its own file in the archive."""
        _, kind, key, *_ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), kind)


def _array(
    storage: NDArray[np.generic], offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any
) -> NDArray[np.generic]:
    """A tensor. NumPy raises `ValueError` or `TypeError` where it reaches beyond its storage."""
    size = storage.itemsize
    steps = tuple(step * size for step in strides)
    return np.ndarray(tuple(shape), storage.dtype, storage.data, offset * size, steps)
