"""Model throughput: Polyclinic's runtime against ONNX Runtime called alone.

Both run the same starter model on the same batches, in turn; the runtime also calibrates, judges
familiarity, makes conformal sets and whole `Prediction`s. Pictures are decoded beforehand.

    python benchmarks/throughput.py [MODEL]
"""

import os

# As `polyclinic serve` does for a department: one thread, before numpy and ONNX Runtime load.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

ROUNDS = 40
BATCHES_A_ROUND = 10


def main(reference: str) -> None:
    """Print images a second of both, and the ratio, for three batch sizes."""
    with tempfile.TemporaryDirectory() as home:
        registry = open_registry(Settings(home=Path(home)))
        install_starters(registry)
        version = registry.resolve(reference)
        model = ImageClassifier.load(registry, version)
        network = registry.load(version)[NETWORK_FILE]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rng = np.random.default_rng(0)
    print("| batch | ONNX Runtime alone, images/s | Polyclinic, images/s | ratio |")
    print("| --- | --- | --- | --- |")
    for size in (1, 8, 32, 128):
        shape = (size, model.spec.channels, model.spec.size, model.spec.size)
        batch = rng.integers(0, 256, shape, dtype=np.uint8)
        digests = ["0" * 64] * size
        alone = partial(session.run, None, {name: batch})
        whole = partial(answer, model, batch, digests)
        pairs = [(seconds(alone), seconds(whole)) for _ in range(ROUNDS)]
        images = size * BATCHES_A_ROUND
        bare, ours = (images / median(times) for times in zip(*pairs, strict=True))
        ratio = median(first / second for first, second in pairs)
        print(f"| {size} | {bare:,.0f} | {ours:,.0f} | {ratio:.3f} |")


def answer(model: ImageClassifier, batch: NDArray[np.uint8], digests: list[str]) -> None:
    """All that the model says of a batch."""
    model.predictions(model.score(batch), digests)


def seconds(run: Callable[[], object]) -> float:
    """How long one round of `run` takes."""
    start = time.perf_counter()
    for _ in range(BATCHES_A_ROUND):
        run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:] or ["chest-xray-pneumonia"])
