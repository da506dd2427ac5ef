"""The recipe of an image model."""

from typing import Any, Literal

from pydantic import Field, model_validator

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.diagnosis.imaging.augment import AugmentSettings
from polyclinic.diagnosis.imaging.gate import Accepts
from polyclinic.diagnosis.imaging.networks import NetworkSettings
from polyclinic.learning.build.initialise import Init
from polyclinic.learning.recipe import override, parse_recipe
from polyclinic.learning.train.settings import TrainSettings
from polyclinic.learning.train.tuning import TuneSettings
from polyclinic.learning.trust.operating_points import parse_operating_point
from polyclinic.registry.manifest import NAME, CardText


class Label(Coding):
    """A label of the data, in the order of its numbers; `finding` says that it is a disease."""

    finding: bool = True

    def coding(self) -> Coding:
        """The label as a coding alone."""
        return Coding(system=self.system, code=self.code, display=self.display)


class DataSettings(Frozen):
    """Which data: `path` (or `--data`) is a MedMNIST `.npz` file."""

    name: str
    path: str | None = None
    licence: str
    source: str
    labels: tuple[Label, ...] = Field(min_length=2)


class TrustSettings(Frozen):
    """How scores become answers; everything here is fitted on the validation part.

    `operating_point` names the one that decides, before the test part is opened; `operating_points`
    are reported. `familiarity`: an input whose p-value is not higher is unfamiliar.
    """

    calibration: tuple[Literal["temperature", "platt", "isotonic"], ...] = ("temperature",)
    operating_point: str = "youden"
    operating_points: tuple[str, ...] = ("argmax", "youden", "sensitivity@0.95", "specificity@0.95")
    conformal: Literal["marginal", "class-conditional"] = "class-conditional"
    coverage: Fraction = 0.9
    familiarity: Fraction = 0.01

    @model_validator(mode="after")
    def _decides_by_a_reported_point(self) -> "TrustSettings":
        if self.operating_point not in self.operating_points:
            raise ValueError(f"operating_points must include {self.operating_point!r}")
        for name in self.operating_points:
            try:
                parse_operating_point(name)
            except InvalidInput as error:
                raise ValueError(f"{error.detail} {error.remedy or ''}") from None
        return self


class ImageRecipe(Frozen):
    """Data, model and settings for the five steps."""

    name: str = Field(pattern=NAME)
    kind: Literal["diagnosis.image"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: DataSettings
    model: NetworkSettings
    accepts: Accepts = Accepts()
    init: Init = "kaiming"
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    trust: TrustSettings = TrustSettings()
    tune: TuneSettings | None = None
    card: CardText

    def changed(self, changes: dict[str, Any]) -> "ImageRecipe":
        """This recipe with dotted paths such as `model.width` replaced."""
        return parse_recipe(override(self.model_dump(), changes), ImageRecipe, ", ".join(changes))

    @model_validator(mode="after")
    def _has_a_finding(self) -> "ImageRecipe":
        if not any(label.finding for label in self.data.labels):
            raise ValueError("data.labels: at least one label must be a finding")
        if "platt" in self.trust.calibration and len(self.data.labels) > 2:
            raise ValueError("trust.calibration: platt is for two labels")
        return self
