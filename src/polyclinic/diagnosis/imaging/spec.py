"""The imaging department's own part of a manifest: all that turns pixels into a prediction."""

from polyclinic.core.evaluation import OperatingPoint
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.diagnosis.imaging.gate import Accepts
from polyclinic.learning.trust.calibration import Calibration
from polyclinic.learning.trust.conformal import Conformal

KIND = "diagnosis.image"
NETWORK_FILE = "network.onnx"
FAMILIARITY_FILE = "familiarity.safetensors"


class ImageSpec(Frozen):
    """What serving needs beside the network.

    channels, size: of the network's pictures, (channels, size, size) uint8. findings: codes of the
    labels that are diseases. decides: the name of the operating point that calls findings present.
    accepts: the pictures that the model was made for.
    """

    channels: int
    size: int
    findings: tuple[str, ...]
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    decides: str
    conformal: Conformal
    familiarity_alpha: Fraction
    accepts: Accepts = Accepts()

    def deciding(self, label: str) -> OperatingPoint:
        """The operating point that calls the finding `label` present."""
        return next(
            point
            for point in self.operating_points
            if point.name == self.decides and point.label == label
        )
