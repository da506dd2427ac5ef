"""A served model of affinity: pairs in, affinities with intervals out, without torch."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import PolyclinicError
from polyclinic.core.prediction import Coding, Familiarity, ModelIdentity, Provenance, Reweighting
from polyclinic.discovery.affinity.answer import AffinityAnswer, AffinityRange, Neighbour
from polyclinic.discovery.affinity.inputs.pair import Pair, PairText, read_pair
from polyclinic.discovery.affinity.models.kinds import Fitted, load
from polyclinic.discovery.affinity.models.known import Asked, Known, ask
from polyclinic.discovery.affinity.models.nearest import Nearest
from polyclinic.discovery.affinity.novelty import TOLD, Novelty, novelty
from polyclinic.discovery.affinity.spec import KIND, LIBRARY_FILE, PAIRS_FILE, AffinitySpec
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

Floats = NDArray[np.float64]

#: So many measured pairs are told of those most like the one that was asked.
NEIGHBOURS = 5


class AffinityPredictor:
    """A model version of kind `discovery.affinity`, ready to answer."""

    def __init__(
        self, identity: ModelIdentity, spec: AffinitySpec, known: Known, model: Fitted
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.known = known
        self._model = model
        self._nearest = Nearest.of(known)

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "AffinityPredictor":
        """The model of a registered version (`load_version`)."""

        def of_files(
            identity: ModelIdentity,
            labels: tuple[Coding, ...],
            spec: AffinitySpec,
            files: Mapping[str, bytes],
            reweighting: Reweighting | None,
        ) -> "AffinityPredictor":
            return cls.of_files(identity, spec, files)

        return load_version(registry, version, KIND, AffinitySpec, of_files)

    @classmethod
    def of_files(
        cls, identity: ModelIdentity, spec: AffinitySpec, files: Mapping[str, bytes]
    ) -> "AffinityPredictor":
        """The model of files that are known to be whole."""
        library = json.loads(files[LIBRARY_FILE])
        pairs = safetensors.numpy.load(files[PAIRS_FILE])
        known = Known.of(
            library["smiles"],
            library["sequences"],
            pairs["drug"].astype(np.int64),
            pairs["protein"].astype(np.int64),
            pairs["affinity"].astype(np.float64),
        )
        return cls(identity, spec, known, load(spec.model, spec.kernel, files, known))

    def affinities(self, asked: Asked) -> Floats:
        """Affinities (n,), within what was measured."""
        return np.clip(self._model.predict(asked), self.spec.low, self.spec.high)

    def half_widths(self, asked: Asked, foretold: Floats) -> Floats:
        """Half of the interval around each prediction (n,); NaN where none could be fitted."""
        found = np.full(len(foretold), np.nan)
        kinds = np.array(novelty(asked.new_drug, asked.new_protein))
        for kind, interval in self.spec.intervals.items():
            rows = kinds == kind
            found[rows] = interval.half_width(foretold[rows])
        return found

    def p_values(self, asked: Asked) -> Floats:
        """How usual each pair (n,) is."""
        return self._nearest.p_values(asked)

    def predict(
        self, items: Sequence[PairText], *, explain: bool = False
    ) -> list[AffinityAnswer | PolyclinicError]:
        """One answer a pair, in order; a pair that cannot be read fails alone."""
        answers: list[AffinityAnswer | PolyclinicError | None] = []
        pairs: list[Pair] = []
        for place, item in enumerate(items):
            try:
                pairs.append(read_pair(item, f"/pairs/{place}"))
                answers.append(None)
            except PolyclinicError as error:
                answers.append(error)
        told = iter(self._answers(pairs, explain) if pairs else ())
        return [next(told) if answer is None else answer for answer in answers]

    def _answers(self, pairs: Sequence[Pair], explain: bool) -> list[AffinityAnswer]:
        asked = ask(self.known, [(pair.smiles, pair.sequence) for pair in pairs])
        foretold = self.affinities(asked)
        half = self.half_widths(asked, foretold)
        usual = self.p_values(asked)
        kinds = novelty(asked.new_drug, asked.new_protein)
        return [
            self._answer(
                pair,
                asked,
                row,
                kinds[row],
                (float(foretold[row]), float(half[row]), float(usual[row])),
                explain,
            )
            for row, pair in enumerate(pairs)
        ]

    def _answer(
        self,
        pair: Pair,
        asked: Asked,
        row: int,
        new: Novelty,
        found: tuple[float, float, float],
        explain: bool,
    ) -> AffinityAnswer:
        spec = self.spec
        value, half, usual = found
        familiarity = Familiarity(p_value=usual, alpha=spec.familiarity_alpha)
        drug_like = asked.drug_like[asked.drug[row]]
        protein_like = asked.protein_like[asked.protein[row]]
        warnings = list(pair.warnings)
        if new != "neither":
            warnings.append(f"The interval is wider: {TOLD[new]}.")
        if np.isnan(half):
            half = spec.high - spec.low
            warnings.append("There were too few pairs to tell how wide the interval must be.")
        return AffinityAnswer(
            smiles=pair.smiles,
            residues=len(pair.sequence),
            affinity=AffinityRange(
                what=spec.what,
                value=value,
                low=max(spec.low, value - half),
                high=min(spec.high, value + half),
                coverage=spec.coverage,
                nanomolar=10 ** (9.0 - value),
                bound=self._bound(value),
            ),
            new=new,
            nearest_drug=min(1.0, float(drug_like.max())),
            nearest_protein=min(1.0, float(protein_like.max())),
            familiarity=familiarity,
            abstained=None
            if familiarity.familiar
            else "Drug or protein is unlike those that the model was made from.",
            warnings=tuple(warnings),
            neighbours=self._neighbours(drug_like, protein_like) if explain else (),
            provenance=Provenance(
                model=self.identity, input_digest=pair.digest, time=datetime.now(UTC)
            ),
        )

    def _bound(self, value: float) -> Literal["weaker", "stronger"] | None:
        at: tuple[tuple[Literal["weaker", "stronger"], float], ...] = (
            ("weaker", self.spec.low),
            ("stronger", self.spec.high),
        )
        for bound, end in at:
            if bound in self.spec.bounded and abs(value - end) < 0.05:
                return bound
        return None

    def _neighbours(self, drug_like: Floats, protein_like: Floats) -> tuple[Neighbour, ...]:
        """The measured pairs of which drug and protein are most alike, by the product of both."""
        known = self.known
        near = np.where(known.counts > 0, np.outer(drug_like, protein_like), -1.0)
        flat = np.argsort(-near, axis=None, kind="stable")[:NEIGHBOURS]
        drugs, proteins = np.unravel_index(flat, near.shape)
        return tuple(
            Neighbour(
                smiles=known.library.smiles[drug],
                protein=_short(known.library.sequences[protein]),
                drug_similarity=min(1.0, float(drug_like[drug])),
                protein_similarity=min(1.0, float(protein_like[protein])),
                affinity=float(known.sums[drug, protein] / known.counts[drug, protein]),
            )
            for drug, protein in zip(drugs.tolist(), proteins.tolist(), strict=True)
            if near[drug, protein] > 0
        )


def _short(sequence: str) -> str:
    return sequence if len(sequence) <= 40 else f"{sequence[:30]}... ({len(sequence)} residues)"
