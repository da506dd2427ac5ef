"""Steps 2 and 3: build and train one model of whatever kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.serve.trees import Trees
from polyclinic.learning.train.settings import TrainSettings
from polyclinic.treatment.drugs.fingerprints import fingerprints
from polyclinic.treatment.orders.encoding import Encoded, Floats, Vocabulary
from polyclinic.treatment.orders.models.pairs import (
    CATEGORIES,
    NAMES,
    PairTables,
    learn_tables,
    pair_features,
)
from polyclinic.treatment.orders.models.scorers import (
    ARRAYS,
    NETWORK,
    TREES,
    Collaborative,
    LastVisit,
    Network,
    PairTrees,
    Popularity,
    Scorer,
)
from polyclinic.treatment.orders.models.settings import (
    AlsSettings,
    BprSettings,
    ItemNeighbourSettings,
    LastVisitSettings,
    NeighbourSettings,
    OneSettings,
    PopularitySettings,
    TransformerSettings,
    TreesSettings,
    TwoTowerSettings,
)
from polyclinic.treatment.orders.steps.prepare import Prepared

if TYPE_CHECKING:
    import torch

#: Trees learn from pairs whose tables were made from other persons, in so many folds.
FOLDS = 5


@dataclass(frozen=True)
class Trained:
    """A model that scores, and its files."""

    scorer: Scorer
    files: dict[str, bytes] = field(default_factory=dict)


def train(settings: OneSettings, prepared: Prepared, seed: int) -> Trained:
    """The model, made from the training part; networks stop by the choosing half."""
    vocabulary = prepared.vocabulary
    match settings:
        case PopularitySettings():
            return Trained(Popularity())
        case LastVisitSettings():
            return Trained(LastVisit(vocabulary))
        case NeighbourSettings():
            return Trained(Neighbours(prepared.part("train"), settings.k))
        case AlsSettings() | BprSettings() | ItemNeighbourSettings():
            return _collaborative(settings, prepared, seed)
        case TreesSettings():
            return _trees(settings, prepared, seed)
        case TwoTowerSettings() | TransformerSettings():
            return _network(settings, prepared, seed)


@dataclass(frozen=True)
class Neighbours:
    """A baseline: what visits alike ordered, by the cosine of all columns."""

    known: Encoded
    k: int

    def scores(self, encoded: Encoded) -> Floats:
        """The similarity-weighted share of the k nearest visits that ordered each treatment."""
        from polyclinic.learning.recommend.orders import nearest_neighbour

        visits = self.known.x[self.known.asked]
        ordered = self.known.ordered[self.known.asked]
        found: Floats = nearest_neighbour(visits, ordered, encoded.x[encoded.asked], self.k)
        return found


def usual(encoded: Encoded) -> Floats:
    """The log-odds (m,) of each treatment's being ordered at a visit."""
    ordered = encoded.ordered[encoded.asked]
    rate = (ordered.sum(axis=0) + 0.5) / (len(ordered) + 1)
    return np.asarray(np.log(rate / (1 - rate)), np.float32)


def _collaborative(
    settings: AlsSettings | BprSettings | ItemNeighbourSettings, prepared: Prepared, seed: int
) -> Trained:
    from polyclinic.learning.recommend.orders import fit_filter

    part = prepared.part("train")
    persons, whose = np.unique(prepared.person("train"), return_inverse=True)
    had = np.zeros((len(persons), prepared.vocabulary.m), np.float32)
    np.maximum.at(had, whose, part.ordered[part.asked].astype(np.float32))
    options = settings.model_dump(exclude={"name"})
    model = fit_filter(settings.name, had, seed=seed, **options)
    files = {ARRAYS: safetensors.numpy.save(model.arrays())}
    return Trained(Collaborative(prepared.vocabulary, model), files)


def _trees(settings: TreesSettings, prepared: Prepared, seed: int) -> Trained:
    """Trees over pairs, with the tables of all training visits; each learnt from others' tables."""
    import lightgbm

    part, vocabulary = prepared.part("train"), prepared.vocabulary
    tables = learn_tables(part, vocabulary)
    pairs = _other_persons_pairs(part, prepared.person("train"), vocabulary, tables, seed)
    ordered = part.ordered[part.asked]
    features = pairs.shape[2]
    ranking = {"objective": "lambdarank", "lambdarank_truncation_level": 20}
    data = lightgbm.Dataset(
        pairs.reshape(-1, features),
        ordered.ravel().astype(np.int32),
        group=np.full(len(part), vocabulary.m) if settings.loss == "lambdarank" else None,
        categorical_feature=list(CATEGORIES),
        free_raw_data=True,
    )
    booster = lightgbm.train(
        {
            **(ranking if settings.loss == "lambdarank" else {"objective": "binary"}),
            "num_leaves": settings.leaves,
            "learning_rate": settings.learning_rate,
            "min_data_in_leaf": settings.min_rows,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "verbose": -1,
        },
        data,
        settings.rounds,
    )
    text = booster.model_to_string().encode()
    scorer = PairTrees(vocabulary, tables, Trees(text, len(NAMES) + len(tables.values)))
    return Trained(scorer, {ARRAYS: safetensors.numpy.save(tables.arrays()), TREES: text})


def _other_persons_pairs(
    part: Encoded, person: NDArray[np.str_], vocabulary: Vocabulary, tables: PairTables, seed: int
) -> Floats:
    """Pairs (n, m, p) whose tables know nothing of their own person."""
    names, whose = np.unique(person, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[whose] % FOLDS
    pairs = np.empty((len(part), vocabulary.m, len(NAMES) + len(tables.values)), np.float32)
    for number in range(FOLDS):
        others = learn_tables(part.take(np.flatnonzero(fold != number)), vocabulary)
        own = np.flatnonzero(fold == number)
        # Which values are features is the same for all.
        others = PairTables(**{**vars(others), "values": tables.values})
        pairs[own] = pair_features(part.take(own), vocabulary, others)
    return pairs


def _network(
    settings: TwoTowerSettings | TransformerSettings, prepared: Prepared, seed: int
) -> Trained:
    import torch

    from polyclinic.learning.build.initialise import initialise
    from polyclinic.learning.serve.onnx_export import export_onnx
    from polyclinic.learning.train.classification import Classification
    from polyclinic.learning.train.trainer import train as minimise
    from polyclinic.treatment.orders.networks.towers import Served, TwoTowers, as_tensor
    from polyclinic.treatment.orders.networks.visits import VisitTransformer

    vocabulary = prepared.vocabulary
    sequential = isinstance(settings, TransformerSettings)

    def inputs(name: str) -> Part:
        part = prepared.part(name)
        x = vocabulary.sequences(part) if sequential else part.x[part.asked]
        return Part(x, part.ordered[part.asked])

    training, choosing = inputs("train"), inputs("choose")
    odds = as_tensor(usual(prepared.part("train")))
    network: torch.nn.Module
    if isinstance(settings, TransformerSettings):
        network = VisitTransformer(settings, training.x.shape[2], training.x.shape[1], odds)
    else:
        network = TwoTowers(
            settings, training.x.shape[1], as_tensor(content(vocabulary, prepared.structures)), odds
        )
    initialise(network, "xavier", seed)
    with torch.no_grad():
        network.usual.copy_(odds)
    how = TrainSettings(
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=0.01,
        patience=5,
        batch_size=min(64, len(training)),
    )
    objective = Classification(training, choosing, vocabulary.m, how, _as_it_is)
    trained = minimise(network, objective, how, seed=seed, run="")
    examples = training.x[:: max(1, len(training) // 8)]
    model = export_onnx(Served(trained.network), examples, ["scores"])
    scorer = Network(vocabulary, OnnxNetwork(model, threads=1), sequential)
    return Trained(scorer, {NETWORK: model})


def content(vocabulary: Vocabulary, structures: Mapping[str, str]) -> Floats:
    """What a treatment is (m, q): its ATC codes' ancestors, levels 1 to 4, one column each.

    With structures, SMILES by drug, its fingerprint's bits come after them.
    """
    ancestors = [
        {code[:length] for code in each.atc for length in (1, 3, 4, 5)}
        for each in vocabulary.treatments
    ]
    names = sorted(set().union(*ancestors))
    place = {name: number for number, name in enumerate(names)}
    columns = np.zeros((vocabulary.m, max(len(names), 1)), np.float32)
    for row, own in enumerate(ancestors):
        columns[row, [place[name] for name in own]] = 1
    if not structures:
        return columns
    bits = fingerprints([structures.get(each.drug) for each in vocabulary.treatments])
    return np.hstack([columns, bits])


def _as_it_is(x: "torch.Tensor") -> "torch.Tensor":
    return x
