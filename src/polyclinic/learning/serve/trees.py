"""Gradient-boosted trees (Ke et al. 2017), stored as LightGBM's own text, served by its library.

The library is called through its C interface (LightGBM 4, `c_api.h`): the Python package imports
scikit-learn and SciPy, which a serving process never does. A corrupt text can kill the process that
parses it, so only files whose digest and signature were checked may come here.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError, Unavailable

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

#: A file for each booster: the members of the first question, those of the second, and so on.
TREES_FILE = "trees-{}.txt"

_FLOAT32 = 0
_RAW_SCORE, _CONTRIBUTIONS = 1, 3


class Forest:
    """LightGBM models of q questions, several members of each, whose scores are averaged."""

    def __init__(self, texts: Sequence[bytes], features: int, questions: int) -> None:
        members, left = divmod(len(texts), questions)
        if left:
            raise IntegrityError(f"{len(texts)} files of trees are none for each of {questions}.")
        trees = [Trees(text, features) for text in texts]
        self._questions = [trees[members * q : members * (q + 1)] for q in range(questions)]

    def scores(self, x: Floats) -> Doubles:
        """The scores (n, c) of features (n, d), not calibrated, of all questions side by side."""
        each = [np.mean([t.scores(x) for t in members], axis=0) for members in self._questions]
        return np.concatenate(each, axis=1)

    def contributions(self, x: Floats) -> Doubles:
        """What each feature adds to the scores (n, c, d): exact Shapley values, as of one model."""
        each = [
            np.mean([t.contributions(x) for t in members], axis=0) for members in self._questions
        ]
        return np.concatenate(each, axis=1)


class Trees:
    """A LightGBM model of one question. Safe to call from one thread at a time."""

    def __init__(self, text: bytes, features: int) -> None:
        self._library = _library()
        self._handle = ctypes.c_void_p()
        rounds, found, classes = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("LGBM_BoosterLoadModelFromString", text, ctypes.byref(rounds), self._out())
        self._call("LGBM_BoosterGetNumFeature", self._handle, ctypes.byref(found))
        self._call("LGBM_BoosterGetNumClasses", self._handle, ctypes.byref(classes))
        if found.value != features:
            raise IntegrityError(f"The trees are of {found.value} features, not of {features}.")
        self._features = features
        self._classes = classes.value

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)

    def scores(self, x: Floats) -> Doubles:
        """The raw scores (n, c) of features (n, d): one, the log-odds, or one of each class."""
        return self._predict(x, _RAW_SCORE, 1)[..., 0]

    def contributions(self, x: Floats) -> Doubles:
        """What each feature adds to the scores (n, c, d): exact Shapley values.

        Source: Lundberg et al. 2020, TreeSHAP with path-dependent expectations.
        """
        return self._predict(x, _CONTRIBUTIONS, self._features + 1)[..., :-1]

    def _predict(self, x: Floats, kind: int, columns: int) -> Doubles:
        """What LightGBM gives of each row and class (n, c, columns)."""
        rows = np.ascontiguousarray(x, dtype=np.float32)
        result = np.empty((len(rows), self._classes, columns), dtype=np.float64)
        length = ctypes.c_int64()
        if len(rows):
            self._call(
                "LGBM_BoosterPredictForMat",
                self._handle,
                rows.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_int(_FLOAT32),
                ctypes.c_int32(len(rows)),
                ctypes.c_int32(self._features),
                ctypes.c_int(1),  # row-major
                ctypes.c_int(kind),
                ctypes.c_int(0),  # from the first tree
                ctypes.c_int(-1),  # to the last
                b"num_threads=1",
                ctypes.byref(length),
                result.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            )
        return result

    def _out(self) -> object:
        return ctypes.byref(self._handle)

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            reason = self._library.LGBM_GetLastError().decode(errors="replace")
            raise IntegrityError(f"The trees cannot be used: {reason}", where="trees")


@cache
def _library() -> ctypes.CDLL:
    package = find_spec("lightgbm")
    folders = [] if package is None else list(package.submodule_search_locations or [])
    names = ("lib/lib_lightgbm.so", "lib/lib_lightgbm.dylib", "bin/lib_lightgbm.dll")
    found = [path for folder in folders for name in names if (path := Path(folder, name)).is_file()]
    if not found:
        raise Unavailable("LightGBM is not installed.", remedy="pip install lightgbm")
    try:
        library = ctypes.CDLL(str(found[0]))
    except OSError as error:
        raise Unavailable(
            f"LightGBM's library cannot be loaded: {error}",
            remedy="Install the OpenMP runtime: libgomp1 on Debian and Ubuntu, libomp on macOS.",
        ) from None
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
