"""The recipe of an image model."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.imaging.augment import AugmentSettings
from polyclinic.diagnosis.imaging.gate import Accepts
from polyclinic.diagnosis.imaging.networks import NetworkSettings
from polyclinic.diagnosis.imaging.networks.residual import ResidualSettings
from polyclinic.diagnosis.imaging.networks.simple_cnn import SimpleCnnSettings
from polyclinic.diagnosis.imaging.sources.listing import SUBGROUPS
from polyclinic.diagnosis.imaging.spec import ExplanationMethod
from polyclinic.diagnosis.labels import Label
from polyclinic.diagnosis.trust import TrustSettings
from polyclinic.learning.build.initialise import Init
from polyclinic.learning.recipe import override, parse_recipe
from polyclinic.learning.train.settings import TrainSettings, TuneSettings
from polyclinic.registry.manifest import NAME, CardText


class DataSettings(Frozen):
    """Which data: `path` (or `--data`) is a source of pictures (`source.read_source`).

    labels: without them the source's own words are the labels. findings: codes of the labels that
    are diseases, where no label says so itself; without them all are. size, channels: of the
    pictures that the network sees, the source's own unless given. multi_label: none, one or several
    labels are true of a picture. ordinal: the labels are grades, in their order. subgroups: the
    attributes by which results are also given apart.
    """

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    labels: tuple[Label, ...] | None = Field(default=None, min_length=2)
    findings: tuple[str, ...] | None = Field(default=None, min_length=1)
    size: int | None = Field(default=None, ge=8, le=1024)
    channels: Literal[1, 3] | None = None
    multi_label: bool = False
    ordinal: bool = False
    subgroups: tuple[str, ...] = SUBGROUPS

    @property
    def codings(self) -> tuple[Coding, ...] | None:
        """The stated labels."""
        return None if self.labels is None else tuple(label.coding() for label in self.labels)

    def findings_of(self, labels: Sequence[Coding]) -> tuple[str, ...]:
        """The codes of those of the data's `labels` that are findings.

        Raises `InvalidInput` where a stated finding is no label.
        """
        if self.labels is not None:
            return tuple(label.code for label in self.labels if label.finding)
        codes = tuple(label.code for label in labels)
        if self.findings is None:
            return codes
        unknown = [code for code in self.findings if code not in codes]
        if unknown:
            raise InvalidInput(
                f"No label has the code {' or '.join(unknown)}; there are {', '.join(codes)}.",
                where="data.findings",
            )
        return self.findings

    @model_validator(mode="after")
    def _says_once_what_a_finding_is(self) -> "DataSettings":
        if self.labels is not None and self.findings is not None:
            raise ValueError("findings are for data without labels; a label says `finding: false`")
        if self.multi_label and self.ordinal:
            raise ValueError("of grades one is true at a time: multi_label or ordinal, not both")
        if self.labels is not None and not any(label.finding for label in self.labels):
            raise ValueError("labels: at least one label must be a finding")
        return self


class ImageTrustSettings(TrustSettings):
    """`TrustSettings`, and how evidence is found (`spec.ExplanationMethod`)."""

    explanation: ExplanationMethod = "masking"


#: What `auto` tries unless told otherwise, the quickest first.
CANDIDATES: tuple[NetworkSettings, ...] = (
    SimpleCnnSettings(name="simple_cnn"),
    ResidualSettings(name="residual", width=16),
    ResidualSettings(name="residual", width=32),
)


class AutoSettings(Frozen):
    """The choice of a network: `candidates` are trained in turn, for `minutes` in all."""

    minutes: float = Field(default=30.0, gt=0.0)
    candidates: tuple[NetworkSettings, ...] = Field(default=CANDIDATES, min_length=1)


class ServeSettings(Frozen):
    """What is exported of the training.

    members: so many networks are trained, with the seeds `seed`, `seed` + 1 and so on, and their
    logits averaged (Lakshminarayanan, Pritzel and Blundell 2017). mirror: each picture is also seen
    with left and right exchanged, and the logits averaged.
    """

    members: int = Field(default=1, ge=1, le=16)
    mirror: bool = False


class ImageRecipe(Frozen):
    """Data, model and settings for the five steps.

    `auto` chooses among networks on the validation part; without it the recipe names its `model`.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["diagnosis.image"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: DataSettings
    auto: AutoSettings | None = None
    model: NetworkSettings | None = None
    accepts: Accepts = Accepts()
    init: Init = "kaiming"
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    tune: TuneSettings | None = None
    trust: ImageTrustSettings = ImageTrustSettings()
    serve: ServeSettings = ServeSettings()
    card: CardText

    def changed(self, changes: dict[str, Any]) -> "ImageRecipe":
        """This recipe with dotted paths such as `model.width` replaced."""
        return parse_recipe(override(self.model_dump(), changes), ImageRecipe, ", ".join(changes))

    @property
    def network(self) -> NetworkSettings:
        """The network that is named or, by now, chosen."""
        if self.model is None:
            raise InvalidInput("The network is not chosen yet.", where="auto")
        return self.model

    def check_labels(self, labels: Sequence[Coding]) -> None:
        """Raise `InvalidInput` where the recipe does not fit the data's labels."""
        self.data.findings_of(labels)
        exclusive = not self.data.multi_label
        if "platt" in self.trust.calibration and exclusive and len(labels) > 2:
            raise InvalidInput("Platt scaling is for two labels.", where="trust.calibration")

    @model_validator(mode="after")
    def _covers_each_label_where_several_are_true(self) -> "ImageRecipe":
        if self.data.multi_label and self.trust.conformal == "marginal":
            raise ValueError("trust.conformal: multi-label data has class-conditional sets alone")
        return self

    @model_validator(mode="after")
    def _names_a_network(self) -> "ImageRecipe":
        if (self.model is None) == (self.auto is None):
            raise ValueError("give either a model or auto, which chooses one; not both")
        return self
