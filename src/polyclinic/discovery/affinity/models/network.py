"""A two-encoder network as it is served: ONNX Runtime, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.known import Asked, Library, Rows
from polyclinic.learning.serve.onnx_network import OnnxNetwork

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

OUTPUT = "affinity"


@dataclass(frozen=True)
class Scale:
    """How inputs and affinities are brought to one scale. length: of residues that are read."""

    drug_mean: Singles
    drug_spread: Singles
    mean: float
    spread: float
    length: int

    def drugs(self, library: Library) -> Singles:
        """Of drugs (a, f)."""
        x = np.sign(library.drug_x) * np.log1p(np.abs(library.drug_x))
        return np.asarray((x - self.drug_mean) / self.drug_spread, np.float32)

    def pairs(self, library: Library, drug: Rows, protein: Rows) -> Singles:
        """The network's inputs (n, f + length): scaled drugs, and residues by number."""
        residues = library.residues(self.length)[protein].astype(np.float32)
        return np.concatenate([self.drugs(library)[drug], residues], axis=1)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored."""
        numbers = np.array([self.mean, self.spread, self.length], np.float64)
        return {"drug_mean": self.drug_mean, "drug_spread": self.drug_spread, "numbers": numbers}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Scale":
        """From stored arrays. Raises `KeyError` where one is missing."""
        mean, spread, length = np.asarray(arrays["numbers"], np.float64).tolist()
        of_mean, of_spread = (
            np.asarray(arrays[name], np.float32) for name in ("drug_mean", "drug_spread")
        )
        return cls(of_mean, of_spread, mean, spread, int(length))


@dataclass(frozen=True)
class Network:
    """The network. model: its ONNX."""

    scale: Scale
    model: bytes
    runtime: OnnxNetwork

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,)."""
        inputs = self.scale.pairs(asked.library, asked.drug, asked.protein)
        scored = self.runtime.run_all(inputs)[OUTPUT][:, 0].astype(np.float64)
        return np.asarray(self.scale.mean + self.scale.spread * scored)

    @classmethod
    def of(cls, scale: Scale, model: bytes, threads: int = 1) -> "Network":
        """From stored parts. Raises `IntegrityError` where the model is none."""
        return cls(scale, model, OnnxNetwork(model, threads))
