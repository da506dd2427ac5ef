"""What every rival does with a picture: decode it as Polyclinic does, ask the network, softmax.

It imports nothing of Polyclinic, for it runs in environments of their own.
"""

import io
import os
from typing import Any

# As `polyclinic serve` does for a department: one thread, before numpy and ONNX Runtime load.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image


class Network:
    """The network of an ONNX file, on one thread."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        (network_input,) = self._session.get_inputs()
        self._input = network_input.name
        self._size = network_input.shape[-1]

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A PNG's picture (1, size, size)."""
        return self.fit(Image.open(io.BytesIO(data), formats=("PNG",)))

    def fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture as (1, size, size), grey."""
        square = image.convert("L").resize((self._size, self._size), Image.Resampling.BICUBIC)
        return np.asarray(square, dtype=np.uint8)[None]

    def probabilities(self, pictures: NDArray[np.uint8]) -> list[Any]:
        """The softmax of the logits of pictures (n, 1, size, size), as n lists."""
        (logits,) = self._session.run(["logits"], {self._input: pictures})
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: list[Any] = (exponentials / exponentials.sum(axis=1, keepdims=True)).tolist()
        return shares
