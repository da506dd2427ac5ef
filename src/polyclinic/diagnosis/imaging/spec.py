"""The imaging department's own part of a manifest: all that turns pixels into a prediction."""

from typing import Literal

from polyclinic.core.evaluation import OperatingPoint
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.diagnosis.imaging.gate import Accepts
from polyclinic.learning.trust.calibration import Calibration
from polyclinic.learning.trust.conformal import Conformal

KIND = "diagnosis.image"
NETWORK_FILE = "network.onnx"
FAMILIARITY_FILE = "familiarity.safetensors"
#: Held-out features, which a site's are compared with (`ShiftReference`).
SHIFT_FILE = "shift.safetensors"
#: For each label the mean picture without it, which masking shows in place of what it hides.
WITHOUT_FILE = "without.safetensors"

#: How evidence is found: by masking, at about a hundred passes a picture, or from the one pass that
#: is made anyway, with less faith to the model.
ExplanationMethod = Literal["masking", "class-activation-map"]


class ImageSpec(Frozen):
    """What serving needs beside the network.

    channels, size: of the network's pictures, (channels, size, size) uint8. findings: codes of the
    labels that are diseases. multi_label: whether several labels, or none, can be true at once.
    ordinal: whether the labels are grades, in their order. decides: the name of the operating point
    that calls findings present. accepts: the pictures that the model was made for.
    """

    channels: int
    size: int
    findings: tuple[str, ...]
    multi_label: bool = False
    ordinal: bool = False
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    decides: str
    conformal: Conformal
    familiarity_alpha: Fraction
    accepts: Accepts = Accepts()
    explanation: ExplanationMethod = "class-activation-map"

    def deciding(self, label: str) -> OperatingPoint:
        """The operating point that calls the finding `label` present."""
        return next(
            point
            for point in self.operating_points
            if point.name == self.decides and point.label == label
        )


def batch_size(size: int) -> int:
    """How many pictures of `size` × `size` pixels a network sees at once, within some 0.5 GiB."""
    return max(1, min(256, 256 * 64**2 // size**2))
