"""The ten networks together: five tell the classifications, five the regressions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from polyclinic.core.errors import IntegrityError
from polyclinic.discovery.admet.networks.classes import classify
from polyclinic.discovery.admet.networks.featurise import featurise
from polyclinic.discovery.admet.networks.network import Network

Floats = NDArray[np.float32]

#: So many molecules share their messages: more share better, and need more memory (about 200 MB).
BATCH = 5_000


@dataclass(frozen=True)
class Told:
    """What the networks say of m molecules.

    mean: of the family's networks (m, t), without bounds. spread: their standard deviation (m, t).
    seen: how the molecules look to the first network of each family, for familiarity: their
    representations side by side (m, d of all families).
    """

    mean: Floats
    spread: Floats
    seen: Floats


class Ensemble:
    """Networks in families, each family telling endpoints of its own."""

    def __init__(self, families: Sequence[Sequence[Network]], depth: int) -> None:
        self.families = tuple(tuple(family) for family in families)
        self.depth = depth

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, NDArray[np.generic]],
        families: Sequence[str],
        size: int,
        depth: int,
    ) -> "Ensemble":
        """The ensemble of stored arrays, named `classification.0.start` and so on.

        A family named `classification` tells probabilities. Raises `IntegrityError` where an array
        is missing or does not fit.
        """
        built = []
        for family in families:
            networks = []
            for number in range(size):
                prefix = f"{family}.{number}."
                own = {
                    name.removeprefix(prefix): array
                    for name, array in arrays.items()
                    if name.startswith(prefix)
                }
                try:
                    networks.append(Network.of(own, logistic=family == "classification"))
                except KeyError as missing:
                    raise IntegrityError(f"The weights {prefix}{missing} are missing.") from None
            built.append(networks)
        return cls(built, depth)

    @property
    def endpoints(self) -> int:
        """How many endpoints all families tell."""
        return sum(len(family[0].shift) for family in self.families)

    def tell(self, mols: Sequence[Mol], only: Sequence[int] | None = None) -> Told:
        """What the networks say of molecules, each with an atom; rows in the same order.

        only: these networks of each family, by number, the first being among them; else all.
        """
        width = sum(len(family[0].atom_bias) for family in self.families)
        told = [Told(*(np.zeros((0, n), np.float32) for n in (self.endpoints,) * 2 + (width,)))]
        told += [self._tell(mols[low : low + BATCH], only) for low in range(0, len(mols), BATCH)]
        return Told(
            mean=np.concatenate([each.mean for each in told]),
            spread=np.concatenate([each.spread for each in told]),
            seen=np.concatenate([each.seen for each in told]),
        )

    def _tell(self, mols: Sequence[Mol], only: Sequence[int] | None) -> Told:
        graphs = featurise(mols)
        classes = classify(graphs, self.depth)
        means, spreads, seen = [], [], []
        for family in self.families:
            asked = family if only is None else [family[number] for number in only]
            molecules = [network.represent(graphs, classes) for network in asked]
            answers = [network.tell(each) for network, each in zip(asked, molecules, strict=True)]
            means.append(np.mean(answers, axis=0))
            spreads.append(np.std(answers, axis=0, ddof=1))
            seen.append(molecules[0])
        return Told(np.hstack(means), np.hstack(spreads), np.hstack(seen))
