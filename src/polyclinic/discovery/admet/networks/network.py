"""One directed message-passing network, by its weights: forward only, NumPy only.

h0 = relu(Wi [x, e]), h = relu(h0 + Wh m) depth - 1 times, atom = relu(Wo [x, m] + b); a molecule is
the sum of its atoms over `norm`, and two layers tell its endpoints. Source: Yang et al. 2019,
J. Chem. Inf. Model. 59(8), equations 1 to 8; Heid et al. 2024, 64(1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.discovery.admet.networks.classes import Classes
from polyclinic.discovery.admet.networks.featurise import ATOM_FEATURES, BOND_FEATURES, Graphs

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """Weights, each as it multiplies from the right: d features hidden, t endpoints.

    start (72 + 14, d), onward (d, d), atom (72 + d, d), atom_bias (d,), hidden (d, h),
    hidden_bias (h,), out (h, t), out_bias (t,). What `out` gives is times `scale` plus `shift`,
    (t,) each; `logistic` where it is the logit of a probability.
    """

    start: Floats
    onward: Floats
    atom: Floats
    atom_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats
    scale: Floats
    shift: Floats
    logistic: bool
    norm: float = 100.0

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.generic]], *, logistic: bool) -> "Network":
        """The network of stored arrays. Raises `IntegrityError` where they do not fit together."""
        given: dict[str, Any] = {
            each.name: np.ascontiguousarray(arrays[each.name], np.float32)
            for each in fields(cls)
            if each.name not in {"logistic", "norm"}
        }
        wide = given["onward"].shape[0]
        deep, told = given["out"].shape
        right = {
            "start": (ATOM_FEATURES + BOND_FEATURES, wide),
            "onward": (wide, wide),
            "atom": (ATOM_FEATURES + wide, wide),
            "atom_bias": (wide,),
            "hidden": (wide, deep),
            "hidden_bias": (deep,),
            "out_bias": (told,),
            "scale": (told,),
            "shift": (told,),
        }
        for name, shape in right.items():
            if given[name].shape != shape:
                raise IntegrityError(f"The weights {name} are {given[name].shape}, not {shape}.")
        return cls(**given, logistic=logistic)

    def represent(self, graphs: Graphs, classes: Classes) -> Floats:
        """The learned representation of each molecule (M, d)."""
        of_atoms = graphs.atom_kinds @ self.start[:ATOM_FEATURES]
        of_bonds = graphs.bond_kinds @ self.start[ATOM_FEATURES:]
        start = of_atoms[classes.start[:, 0]] + of_bonds[classes.start[:, 1]]
        message = np.maximum(start, 0)
        for adding in classes.depths:
            # A product before the sum: there are fewer classes before it than after.
            message = adding @ _stacked(message, self.onward, start)
            np.maximum(message, 0, out=message)
        known = graphs.atom_kinds @ self.atom[:ATOM_FEATURES] + self.atom_bias
        arriving = _stacked(message, self.atom[ATOM_FEATURES:], known)
        molecules = []
        for part in classes.parts:
            atoms = part.atoms @ arriving
            np.maximum(atoms, 0, out=atoms)
            molecules.append(part.molecules @ atoms)
        return np.asarray(np.concatenate(molecules) / np.float32(self.norm), np.float32)

    def tell(self, molecules: Floats) -> Floats:
        """The endpoints (M, t) of represented molecules (M, d)."""
        hidden = np.maximum(molecules @ self.hidden + self.hidden_bias, 0)
        told = (hidden @ self.out + self.out_bias) * self.scale + self.shift
        if self.logistic:
            with np.errstate(over="ignore"):
                told = 1 / (1 + np.exp(-told))
        return np.asarray(told, np.float32)


def _stacked(message: Floats, weights: Floats, below: Floats) -> Floats:
    """`message @ weights` above `below`, in one array."""
    both = np.empty((len(message) + len(below), weights.shape[1]), np.float32)
    np.matmul(message, weights, out=both[: len(message)])
    both[len(message) :] = below
    return both
