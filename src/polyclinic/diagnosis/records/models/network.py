"""A network as it is served: ONNX Runtime, no torch; its evidence by occlusion."""

from collections.abc import Sequence

import numpy as np

from polyclinic.core.errors import IntegrityError
from polyclinic.diagnosis.records.features import Floats, Rows
from polyclinic.diagnosis.records.models.linear import Doubles
from polyclinic.learning.serve.onnx_network import OnnxNetwork

NETWORK_FILE = "network.onnx"
OUTPUT = "logits"


class Network:
    """A network of features (n, d) that gives k logits."""

    method = "occlusion"

    def __init__(self, model: bytes, labels: int, *, exclusive: bool) -> None:
        self._network = OnnxNetwork(model, threads=1)
        if self._network.outputs != [OUTPUT]:
            raise IntegrityError(f"The network's outputs are {self._network.outputs}.")
        self._labels = labels
        self._exclusive = exclusive

    def logits(self, x: Floats) -> Doubles:
        """The logits of k labels (n, k), from features (n, d)."""
        if not len(x):
            return np.empty((0, self._labels))
        found = self._network.run_all(np.ascontiguousarray(x, np.float32))[OUTPUT]
        return np.asarray(found, np.float64)

    def contributions(self, x: Floats, label: int, groups: Sequence[Rows]) -> Doubles:
        """What the logit of a label loses where a group of features is unknown (n, g).

        Source: Zeiler and Fergus 2014, section 2.2, with missingness as what is put in its place.
        """
        added = np.zeros((len(x), len(groups)))
        for row, features in enumerate(x):
            known = [i for i, group in enumerate(groups) if np.isfinite(features[group]).any()]
            changed = np.repeat(features[None], len(known) + 1, axis=0)
            for place, i in enumerate(known):
                changed[place, groups[i]] = np.nan
            logits = self.logits(changed)
            scores = logits[:, label]
            if self._exclusive:
                # Of labels that exclude each other only differences of logits mean anything.
                scores = scores - np.delete(logits, label, axis=1).mean(axis=1)
            added[row, known] = scores[-1] - scores[:-1]
        return added
