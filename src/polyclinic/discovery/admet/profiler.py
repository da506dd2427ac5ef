"""A served ADMET model: molecules in, 41 endpoints each out. No torch, no chemprop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput, PolyclinicError
from polyclinic.core.prediction import (
    Coding,
    Familiarity,
    ModelIdentity,
    Provenance,
    Reweighting,
)
from polyclinic.discovery.admet.answer import AdmetAnswer, EndpointAnswer
from polyclinic.discovery.admet.approved import percentiles
from polyclinic.discovery.admet.endpoints import Endpoint, endpoints
from polyclinic.discovery.admet.networks.ensemble import Ensemble
from polyclinic.discovery.admet.spec import APPROVED_FILE, KIND, NETWORKS_FILE, AdmetSpec
from polyclinic.discovery.molecules import Molecule
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

Floats = NDArray[np.float64]

UNFAMILIAR = "To the networks the molecule looks unlike approved drugs: its values may be far off."


@dataclass(frozen=True)
class Profiles:
    """What is told of m molecules in t endpoints, in columns; a rejected molecule's row is NaN.

    values: within physical bounds (m, t). told: before bounds. spread: the standard deviation among
    the networks. percentile: among approved drugs, 0 to 100. familiarity: p-values (m,). rejected:
    by row, why nothing is told.
    """

    names: tuple[str, ...]
    values: Floats
    told: Floats
    spread: Floats
    percentile: Floats
    familiarity: Floats
    rejected: Mapping[int, PolyclinicError]

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """Where the networks told what is not physically possible (m, t)."""
        return np.asarray((self.values != self.told) & ~np.isnan(self.told))


class AdmetProfiler:
    """A model version of kind `discovery.admet`, ready to answer."""

    def __init__(
        self,
        identity: ModelIdentity,
        spec: AdmetSpec,
        ensemble: Ensemble,
        table: NDArray[np.float32],
        usual: FamiliarityModel,
    ) -> None:
        """Put the parts together. Raises `IntegrityError` where they do not fit."""
        self.identity = identity
        self.spec = spec
        self._ensemble = ensemble
        self._table = table
        self._usual = usual
        try:
            self.endpoints: tuple[Endpoint, ...] = tuple(endpoints()[name] for name in spec.names)
        except KeyError as missing:
            raise IntegrityError(f"The endpoint {missing} is not known.") from None
        if ensemble.endpoints != len(self.endpoints):
            raise IntegrityError("The networks do not tell the endpoints that the model names.")
        self._low = np.array([each.low for each in self.endpoints])
        self._high = np.array([each.high for each in self.endpoints])
        self._not_quick = [
            place
            for place, name in enumerate(spec.names)
            if spec.quick_agreement.get(name, 0.0) < spec.quick_least
        ]

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "AdmetProfiler":
        """The model of a registered version (`load_version`)."""

        def of_files(
            identity: ModelIdentity,
            labels: tuple[Coding, ...],
            spec: AdmetSpec,
            files: Mapping[str, bytes],
            reweighting: Reweighting | None,
        ) -> "AdmetProfiler":
            return cls.of_files(identity, spec, files)

        return load_version(registry, version, KIND, AdmetSpec, of_files)

    @classmethod
    def of_files(
        cls, identity: ModelIdentity, spec: AdmetSpec, files: Mapping[str, bytes]
    ) -> "AdmetProfiler":
        """The model of files known to be whole. Raises `IntegrityError` where they do not fit."""
        weights = safetensors.numpy.load(files[NETWORKS_FILE])
        known = safetensors.numpy.load(files[APPROVED_FILE])
        return cls(
            identity,
            spec,
            Ensemble.of(weights, tuple(spec.families), spec.size, spec.depth),
            known["quantiles"],
            FamiliarityModel.from_arrays(known),
        )

    def profile(
        self, mols: Sequence[Chem.Mol | PolyclinicError], *, quick: bool = False
    ) -> Profiles:
        """All endpoints of molecules, in order; an error among them stays one, in its place.

        quick: ask some of the networks only, for screens; endpoints that these do not rank nearly
        as all networks do are NaN, and a spread is of fewer.
        """
        rejected: dict[int, PolyclinicError] = {}
        whole = []
        for row, mol in enumerate(mols):
            if isinstance(mol, PolyclinicError):
                rejected[row] = mol
            elif mol.GetNumAtoms() == 0:
                rejected[row] = InvalidInput(
                    "The molecule has no atoms.", where=f"molecules[{row}]"
                )
            else:
                whole.append(mol)
        kept = np.array([row for row in range(len(mols)) if row not in rejected], np.int64)
        said = self._ensemble.tell(whole, self.spec.quick if quick else None)
        mean = said.mean.astype(np.float64)
        if quick:
            mean[:, self._not_quick] = np.nan
        values = np.clip(mean, self._low, self._high)

        def placed(found: NDArray[np.floating]) -> Floats:
            rows = np.full((len(mols), *found.shape[1:]), np.nan)
            rows[kept] = found
            return rows

        return Profiles(
            names=self.spec.names,
            values=placed(values),
            told=placed(mean),
            spread=placed(said.spread),
            percentile=placed(percentiles(self._table, values)),
            familiarity=placed(self._usual.p_values(said.seen)),
            rejected=rejected,
        )

    def predict(
        self, items: Sequence[Molecule | PolyclinicError], *, explain: bool = False
    ) -> list[AdmetAnswer | PolyclinicError]:
        """One answer a molecule, in order; one that could not be read is answered by its error."""
        profiles = self.profile(
            [each if isinstance(each, PolyclinicError) else each.mol for each in items]
        )
        now = datetime.now(UTC)
        return [
            profiles.rejected[row]
            if isinstance(item, PolyclinicError) or row in profiles.rejected
            else self._answer(profiles, row, item, now)
            for row, item in enumerate(items)
        ]

    def _answer(
        self, profiles: Profiles, row: int, molecule: Molecule, now: datetime
    ) -> AdmetAnswer:
        familiarity = Familiarity(p_value=float(profiles.familiarity[row]), alpha=self.spec.alpha)
        bounded = profiles.bounded[row]
        return AdmetAnswer(
            endpoints=tuple(
                EndpointAnswer(
                    coding=each.coding,
                    group=each.group,
                    value=float(profiles.values[row, place]),
                    unit=each.unit,
                    means=each.means,
                    spread=float(profiles.spread[row, place]),
                    percentile=float(profiles.percentile[row, place]),
                    unbounded=float(profiles.told[row, place]) if bounded[place] else None,
                    note=each.weak,
                )
                for place, each in enumerate(self.endpoints)
            ),
            familiarity=familiarity,
            abstained=None if familiarity.familiar else UNFAMILIAR,
            warnings=(*(f"taken away: {each}" for each in molecule.removed), *molecule.changed),
            provenance=Provenance(
                model=self.identity,
                input_digest=sha256(molecule.smiles.encode()),
                time=now,
            ),
        )
