"""Lossless JPEG and JPEG-LS, decoded in a process of their own.

GDCM, the one freely licensed decoder of lossless JPEG, ends its process at some damaged files; a
service must not end with it. The price is about a tenth of a second a picture.

It is a plug-in for pydicom's decoders, with the names that `Decoder.add_plugin` asks for.
"""

import subprocess
import sys
from importlib.resources import as_file, files

from pydicom.pixels.decoders.base import Decoder, DecodeRunner
from pydicom.uid import (
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
)

from polyclinic.core.errors import InvalidInput

PLUGIN = "polyclinic"
TIMEOUT_S = 10.0
DECODER_DEPENDENCIES = dict.fromkeys(
    (JPEGLossless, JPEGLosslessSV1, *JPEGLSTransferSyntaxes), ("gdcm>=3.0.10",)
)


def is_available(uid: str) -> bool:
    """Whether frames of the transfer syntax are decoded here."""
    return uid in DECODER_DEPENDENCIES


def use(decoder: Decoder) -> str:
    """The name of this plug-in, once the decoder has it."""
    if PLUGIN not in decoder.available_plugins:
        decoder.add_plugin(PLUGIN, (__name__, _decode_frame.__name__))
    return PLUGIN


def _decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    stored = runner.bits_stored
    if runner.transfer_syntax in JPEGLSTransferSyntaxes:
        # GDCM gives JPEG-LS colour by pixel, in containers that fit the stream's own precision.
        runner.set_option("planar_configuration", 0)
        stored = runner.get_option("jls_precision", stored)
        runner.set_option("bits_allocated", 8 if stored <= 8 else 16)
    numbers = (
        *(runner.rows, runner.columns, runner.samples_per_pixel),
        runner.planar_configuration if runner.samples_per_pixel > 1 else 0,
        *(runner.bits_allocated, stored, runner.pixel_representation),
    )
    names = (str(runner.transfer_syntax), str(runner.photometric_interpretation))
    with as_file(files(__package__).joinpath("gdcm_worker.py")) as worker:
        command = [sys.executable, "-I", str(worker), *names, *map(str, numbers)]
        try:
            # The interpreter itself, a file of this package, and numbers that were checked.
            done = subprocess.run(  # noqa: S603
                command, input=frame, capture_output=True, timeout=TIMEOUT_S, check=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise InvalidInput(
                "The compressed picture is damaged: its decoder gave up.", where="PixelData"
            ) from None
    return done.stdout
