"""The recipe of a model of affinity."""

from typing import Annotated, Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.learning.train.settings import TrainSettings, TuneSettings
from polyclinic.registry.manifest import NAME, CardText

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

ModelName = Literal["means", "kernel", "trees", "stacked", "network"]


class AffinityData(Frozen):
    """A table, CSV or Parquet, a row a measured pair; or a folder as DeepDTA lays it out.

    unit: of the affinity, which is nanomolar or -log10 of molar. what: what was measured (Kd, Ki,
    IC50). test_of: whether the test part holds whole pairs, drugs or proteins; a folder brings its
    own parts. folds: of the training part, by pairs.
    """

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    smiles: str = "smiles"
    sequence: str = "sequence"
    affinity: str = "affinity"
    unit: Literal["pKd", "nM"] = "pKd"
    what: str = "Kd"
    test_share: float = Field(default=1 / 6, gt=0.0, lt=0.9)
    test_of: Literal["pairs", "drugs", "proteins"] = "pairs"
    folds: int = Field(default=5, ge=2, le=20)


class KernelSettings(Frozen):
    """Ridge regression over products of a kernel of drugs and one of proteins.

    noise: of a measurement, as a share of the kernels' scale. drug, protein: powers of the
    similarities. drug_all, protein_all: what all have in common; drug_own, protein_own: what each
    has alone. passes: how often, after the first, profiles of affinity join the kernels, with
    weights drug_profile, protein_profile and widths in mean distances.
    """

    noise: Positive = 0.25
    drug: Positive = 0.95
    drug_all: NotNegative = 0.04
    drug_own: NotNegative = 0.5
    protein: Positive = 0.95
    protein_all: NotNegative = 0.1
    protein_own: NotNegative = 0.12
    passes: int = Field(default=2, ge=0, le=5)
    drug_profile: NotNegative = 1.0
    protein_profile: NotNegative = 1.2
    drug_width: Positive = 2.0
    protein_width: Positive = 2.0


class TreesSettings(Frozen):
    """LightGBM over descriptors, composition and what is known of similar drugs and proteins."""

    rounds: int = Field(default=600, ge=1)
    learning_rate: Positive = 0.05
    leaves: int = Field(default=31, ge=2)
    min_rows: int = Field(default=20, ge=1)
    feature_share: float = Field(default=0.3, gt=0.0, le=1.0)
    row_share: float = Field(default=0.8, gt=0.0, le=1.0)
    l2: NotNegative = 1.0
    bins: int = Field(default=63, ge=2, le=255)
    threads: int = Field(default=1, ge=1)


class NetworkSettings(Frozen):
    """Two encoders, of fingerprints and of residues, and layers over both.

    length: residues of the sequence that are read. width: of each encoder's result.
    """

    length: int = Field(default=1000, ge=50, le=4000)
    channels: int = Field(default=32, ge=4)
    width: int = Field(default=128, ge=8)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    train: TrainSettings = TrainSettings(
        epochs=30, batch_size=1024, learning_rate=3e-3, schedule="one-cycle", averaging=0.99
    )


class AffinityRecipe(Frozen):
    """Data, model and settings for the five steps; `auto` chooses among `candidates`.

    `stacked` is the kernel and trees, of the settings `correction`, that learn what it is off by.

    coverage: of the intervals. familiarity: a pair whose p-value is not higher is unfamiliar; of
    few drugs or proteins the lowest p-value that there can be takes its place.
    tune: searches a space such as `kernel.noise` before training.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["discovery.affinity"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: AffinityData
    model: ModelName | Literal["auto"] = "auto"
    candidates: tuple[ModelName, ...] = ("means", "kernel", "trees", "stacked", "network")
    kernel: KernelSettings = KernelSettings()
    trees: TreesSettings = TreesSettings()
    correction: TreesSettings = TreesSettings(
        rounds=250, learning_rate=0.03, leaves=15, min_rows=30, row_share=0.7, l2=5.0
    )
    network: NetworkSettings = NetworkSettings()
    tune: TuneSettings | None = None
    coverage: float = Field(default=0.9, gt=0.0, lt=1.0)
    familiarity: float = Field(default=0.05, ge=0.0, lt=1.0)
    card: CardText
