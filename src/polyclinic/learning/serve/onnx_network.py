"""A network as it is served: ONNX Runtime, no torch."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError


class OnnxNetwork:
    """An ONNX model with one input, in memory, on the CPU with a fixed number of threads."""

    def __init__(self, model: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001  (the runtime raises a dozen unrelated types)
            raise IntegrityError(f"ONNX Runtime cannot load the model: {error}") from None
        (self._input,) = (node.name for node in self._session.get_inputs())
        self.outputs = [node.name for node in self._session.get_outputs()]

    def run(self, batch: NDArray[np.generic]) -> dict[str, NDArray[Any]]:
        """Every output (n, ...) by name for one batch (n, ...)."""
        values = self._session.run(self.outputs, {self._input: batch})
        return dict(zip(self.outputs, values, strict=True))

    def run_all(self, inputs: NDArray[np.generic], size: int = 256) -> dict[str, NDArray[Any]]:
        """Every output (n, ...) by name for n >= 1 inputs (n, ...), a bounded batch at a time."""
        if len(inputs) <= size:
            return self.run(inputs)
        batches = [self.run(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        return {name: np.concatenate([batch[name] for batch in batches]) for name in self.outputs}
