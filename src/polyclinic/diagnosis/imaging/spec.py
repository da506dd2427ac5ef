"""The imaging department's own part of a manifest: all that turns pixels into a prediction."""

from typing import Literal

from polyclinic.diagnosis.answers import AnswerSpec
from polyclinic.diagnosis.imaging.gate import Accepts
from polyclinic.diagnosis.imaging.sources.listing import SUBGROUPS

KIND = "diagnosis.image"
NETWORK_FILE = "network.onnx"
#: For each label the mean picture without it, which masking shows in place of what it hides.
WITHOUT_FILE = "without.safetensors"

#: How evidence is found: by masking, at about a hundred passes a picture, or from the one pass that
#: is made anyway, with less faith to the model.
ExplanationMethod = Literal["masking", "class-activation-map"]


class ImageSpec(AnswerSpec):
    """What serving needs beside the network.

    channels, size: of the network's pictures, (channels, size, size) uint8. accepts: the pictures
    that the model was made for. subgroups: the attributes by which it is judged apart.
    """

    channels: int
    size: int
    accepts: Accepts = Accepts()
    explanation: ExplanationMethod = "class-activation-map"
    subgroups: tuple[str, ...] = SUBGROUPS


def batch_size(size: int) -> int:
    """How many pictures of `size` × `size` pixels a network sees at once, within some 0.5 GiB."""
    return max(1, min(256, 256 * 64**2 // size**2))
