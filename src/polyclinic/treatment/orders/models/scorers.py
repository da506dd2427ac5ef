"""Models as they are served: visits in, a score of every treatment out; NumPy, trees and ONNX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.serve.trees import Trees
from polyclinic.treatment.orders.encoding import Encoded, Floats, Vocabulary
from polyclinic.treatment.orders.models.pairs import NAMES, PairTables, pair_features
from polyclinic.treatment.orders.models.settings import (
    AlsSettings,
    BlendSettings,
    BprSettings,
    ItemNeighbourSettings,
    LastVisitSettings,
    ModelSettings,
    OneSettings,
    PopularitySettings,
    TransformerSettings,
    TreesSettings,
    TwoTowerSettings,
)

#: Visits that are turned into pairs at once, which bounds the memory of it.
CHUNK = 512
ARRAYS, TREES, NETWORK = "arrays.safetensors", "trees.txt", "network.onnx"

Files = Mapping[str, bytes]


class Scorer(Protocol):
    """Scores treatments. Safe to call from one thread at a time."""

    def scores(self, encoded: Encoded) -> Floats:
        """Scores (n, m), higher for what is likelier ordered."""
        ...


class Popularity:
    """A baseline: the same for every patient, so that `LogOdds` alone orders treatments."""

    def scores(self, encoded: Encoded) -> Floats:
        """Nothing but zeros."""
        return np.zeros((len(encoded), encoded.ordered.shape[1]), np.float32)


@dataclass(frozen=True)
class LastVisit:
    """A baseline: 1 for what was ordered at the visit before."""

    vocabulary: Vocabulary

    def scores(self, encoded: Encoded) -> Floats:
        """Ones and zeros."""
        return encoded.x[encoded.asked][:, self.vocabulary.of_last]


class FromHistory(Protocol):
    """A collaborative filter: from who had what (n, m) to scores (n, m)."""

    def scores(self, history: Floats) -> Floats:
        """Scores of users who are new to it, folded in."""
        ...


@dataclass(frozen=True)
class Collaborative:
    """What patients with the same history had. Without a history every score is 0."""

    vocabulary: Vocabulary
    model: FromHistory

    def scores(self, encoded: Encoded) -> Floats:
        """The filter's scores of what was ever taken."""
        history = np.ascontiguousarray(encoded.x[encoded.asked][:, self.vocabulary.of_taken])
        scores = self.model.scores(history)
        scores[history.sum(axis=1) == 0] = 0
        return scores


@dataclass(frozen=True)
class PairTrees:
    """Trees over pairs of a patient and a treatment."""

    vocabulary: Vocabulary
    tables: PairTables
    trees: Trees

    def scores(self, encoded: Encoded) -> Floats:
        """The trees' raw scores."""
        scores = np.empty((len(encoded), self.vocabulary.m), np.float32)
        for start in range(0, len(encoded), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(encoded)))
            pairs = pair_features(encoded.take(rows), self.vocabulary, self.tables)
            flat = pairs.reshape(-1, pairs.shape[2])
            scores[rows] = self.trees.scores(flat).reshape(len(rows), -1)
        return scores


@dataclass(frozen=True)
class Network:
    """A network in ONNX: of the visit alone, or of the sequence of visits."""

    vocabulary: Vocabulary
    network: OnnxNetwork
    sequential: bool

    def scores(self, encoded: Encoded) -> Floats:
        """The network's log-odds."""
        if not len(encoded):
            return np.zeros((0, self.vocabulary.m), np.float32)
        inputs = encoded.x[encoded.asked]
        if self.sequential:
            inputs = self.vocabulary.sequences(encoded)
        return np.asarray(self.network.run_all(inputs)["scores"], np.float32)


@dataclass(frozen=True)
class LogOdds:
    """Scores as log-odds: slope × score + by_popularity × the treatment's own log-odds + offset.

    Learnt by logistic regression on validation visits, and the same for every model, so that one
    whose scores are no log-odds, or say nothing of a new patient, falls back on popularity.
    """

    scorer: Scorer
    usual: Floats
    slope: float
    by_popularity: float
    offset: float

    def logits(self, encoded: Encoded) -> Floats:
        """Log-odds (n, m)."""
        scores = self.scorer.scores(encoded)
        odds = self.slope * scores + (self.by_popularity * self.usual + self.offset)
        return np.asarray(odds, np.float32)

    @property
    def line(self) -> NDArray[np.float64]:
        """Slope, by_popularity and offset."""
        return np.array([self.slope, self.by_popularity, self.offset])


@dataclass(frozen=True)
class Blend:
    """A weighted sum of members' log-odds, as a scorer of its own."""

    members: Sequence[LogOdds]
    weights: NDArray[np.float64]

    def scores(self, encoded: Encoded) -> Floats:
        """The sum (n, m)."""
        total = sum(
            weight * member.logits(encoded)
            for weight, member in zip(self.weights.tolist(), self.members, strict=True)
            if weight
        )
        return np.asarray(total, np.float32)


def load_scorer(settings: ModelSettings, files: Files, vocabulary: Vocabulary) -> LogOdds:
    """The model of verified files. Raises `IntegrityError` or `KeyError` where one is not right."""
    line = safetensors.numpy.load(files["log-odds.safetensors"])
    scorer: Scorer
    if isinstance(settings, BlendSettings):
        members = [
            load_scorer(each, _under(files, number), vocabulary)
            for number, each in enumerate(settings.members)
        ]
        scorer = Blend(members, line["weights"])
    else:
        scorer = _load_one(settings, files, vocabulary)
    slope, by_popularity, offset = line["line"].tolist()
    if line["usual"].shape != (vocabulary.m,):
        raise IntegrityError(f"The model does not score {vocabulary.m} treatments.")
    return LogOdds(scorer, line["usual"], slope, by_popularity, offset)


def save_log_odds(model: LogOdds) -> dict[str, bytes]:
    """The file of a model's line, and of a blend's weights."""
    arrays: dict[str, NDArray[np.floating]] = {
        "line": model.line,
        "usual": np.ascontiguousarray(model.usual),
    }
    if isinstance(model.scorer, Blend):
        arrays["weights"] = np.ascontiguousarray(model.scorer.weights)
    return {"log-odds.safetensors": safetensors.numpy.save(arrays)}


def under(files: Files, number: int) -> dict[str, bytes]:
    """A member's files, under names of its own."""
    return {f"{number}-{name}": data for name, data in files.items()}


def _under(files: Files, number: int) -> dict[str, bytes]:
    """The files of a member, under the names that they would have alone."""
    start = f"{number}-"
    return {name[len(start) :]: data for name, data in files.items() if name.startswith(start)}


def _load_one(settings: OneSettings, files: Files, vocabulary: Vocabulary) -> Scorer:
    match settings:
        case PopularitySettings():
            return Popularity()
        case LastVisitSettings():
            return LastVisit(vocabulary)
        case AlsSettings() | BprSettings() | ItemNeighbourSettings():
            from polyclinic.learning.recommend.orders import load_filter

            arrays = safetensors.numpy.load(files[ARRAYS])
            return Collaborative(vocabulary, load_filter(settings.name, arrays))
        case TreesSettings():
            tables = PairTables.from_arrays(safetensors.numpy.load(files[ARRAYS]))
            features = len(NAMES) + len(tables.values)
            return PairTrees(vocabulary, tables, Trees(files[TREES], features))
        case TwoTowerSettings() | TransformerSettings():
            network = OnnxNetwork(files[NETWORK], threads=1)
            return Network(vocabulary, network, isinstance(settings, TransformerSettings))
        case _:
            raise IntegrityError(f"A model of {settings.name} is never served.")
