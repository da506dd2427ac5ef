"""Heat maps: where in the picture the evidence for a finding lies."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyclinic.core.prediction import Coding, Explanation

SIDE = 224

#: Evidence for the finding in red, against it in blue.
FOR, AGAINST = np.array([214, 39, 40]), np.array([31, 119, 180])


def evidence(maps: NDArray[np.float32], label: int) -> NDArray[np.float32]:
    """Evidence (h, w) for `label` against the mean of the others, of class maps (k, h, w)."""
    others = np.delete(maps, label, axis=0).mean(axis=0)
    difference: NDArray[np.float32] = maps[label] - others
    return difference


def draw(pixels: NDArray[np.uint8], heat: NDArray[np.floating]) -> bytes:
    """The picture (c, h, w) with the evidence laid over it, as PNG of SIDE × SIDE pixels.

    The strongest evidence, for or against, is three quarters opaque; none is clear.
    """
    height, width, channels = pixels.transpose(1, 2, 0).shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    picture = Image.fromarray(pixels.transpose(1, 2, 0).reshape(shape)).convert("RGB")
    below = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    smooth = Image.fromarray(heat.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    strength = np.asarray(smooth)[:, :, None] / max(float(np.abs(heat).max()), 1e-9)
    opacity = 0.75 * np.clip(np.abs(strength), 0, 1)
    colour = np.where(strength > 0, FOR, AGAINST)
    drawn = (below * (1 - opacity) + colour * opacity).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "PNG")
    return buffer.getvalue()


def explanation(
    pixels: NDArray[np.uint8], heat: NDArray[np.floating], finding: Coding, method: str
) -> Explanation:
    """The evidence for one finding, laid over the picture (c, h, w), as an explanation."""
    return Explanation(
        method=method,
        finding=finding,
        media_type="image/png",
        content=base64.b64encode(draw(pixels, heat)).decode(),
    )
