"""The models by name: how each is fitted, stored and loaded."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.discovery.affinity.models.kernel import Kernel, fit_kernel
from polyclinic.discovery.affinity.models.known import Asked, Known
from polyclinic.discovery.affinity.models.means import Means, fit_means
from polyclinic.discovery.affinity.models.network import Network, Scale
from polyclinic.discovery.affinity.models.stacked import Stacked, fit_stacked
from polyclinic.discovery.affinity.models.trees import Boosted, fit_trees
from polyclinic.discovery.affinity.recipe import AffinityRecipe, KernelSettings, ModelName

Floats = NDArray[np.float64]

ARRAYS_FILE, TREES_FILE, NETWORK_FILE = "model.safetensors", "trees.txt", "network.onnx"


class Fitted(Protocol):
    """A model of affinity."""

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,), -log10 of molar, of pairs."""
        ...


def fit(name: ModelName, recipe: AffinityRecipe, known: Known) -> Fitted:
    """The model of measured pairs. Raises `InputTooLarge` where they are too many for it."""
    match name:
        case "means":
            return fit_means(known)
        case "kernel":
            return fit_kernel(recipe.kernel, known)
        case "trees":
            return fit_trees(recipe.trees, known, recipe.seed)
        case "stacked":
            return fit_stacked(recipe.kernel, recipe.correction, known, recipe.seed)
        case "network":
            # Imported here: it needs torch, which other models do not.
            from polyclinic.discovery.affinity.steps.train_network import fit_network

            return fit_network(recipe.network, known, recipe.seed)


def stored(model: Fitted) -> dict[str, bytes]:
    """A fitted model's files, but for the measured pairs."""
    match model:
        case Means() | Kernel():
            return {ARRAYS_FILE: _save(model.arrays())}
        case Boosted():
            return {TREES_FILE: model.text}
        case Stacked():
            return {ARRAYS_FILE: _save(model.kernel.arrays()), TREES_FILE: model.text}
        case Network():
            return {ARRAYS_FILE: _save(model.scale.arrays()), NETWORK_FILE: model.model}
        case _:
            raise TypeError(f"{type(model).__name__} cannot be stored.")


def load(name: str, kernel: KernelSettings, files: Mapping[str, bytes], known: Known) -> Fitted:
    """A stored model. Raises `KeyError` or `IntegrityError` where its files are not whole."""
    arrays = safetensors.numpy.load(files[ARRAYS_FILE]) if ARRAYS_FILE in files else {}
    match name:
        case "means":
            return Means.from_arrays(arrays)
        case "kernel":
            return Kernel.from_arrays(arrays, kernel, known)
        case "trees":
            return Boosted.from_text(files[TREES_FILE], known)
        case "stacked":
            own = Kernel.from_arrays(arrays, kernel, known)
            return Stacked.from_parts(own, files[TREES_FILE], known)
        case "network":
            return Network.of(Scale.from_arrays(arrays), files[NETWORK_FILE])
        case _:
            raise IntegrityError(f"There is no model {name} of affinity.")


def _save(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data: bytes = safetensors.numpy.save(whole)
    return data
