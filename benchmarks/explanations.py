"""Are the heat maps better than chance? Class-activation maps against masking (RISE).

On 200 validation pictures, each explained for its likeliest label: insertion less deletion of the
map, and how much that is above random maps of the same smoothness, with several baselines for the
places taken away; the rank correlation with the maps of the same network after its weights were
shuffled (mean of three shufflings, and of the maps' absolute values); and the cost of one map.

    POLYCLINIC_HOME=HOME python benchmarks/explanations.py DATA [MODEL]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from polyclinic.diagnosis.imaging import heatmap, rise
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE
from polyclinic.learning.evaluate.faithfulness import faithfulness, rank_correlation
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

PICTURES = 200
SHUFFLINGS = 3

Pictures = NDArray[np.uint8]
Maps = NDArray[np.floating]
Explain = Callable[[OnnxNetwork, Pictures, NDArray[np.int64]], Maps]


def main(data: Path, name: str) -> None:
    """Print a row for each explanation and baseline."""
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(name)
    model = ImageClassifier.load(registry, version)
    document = registry.load(version)[NETWORK_FILE]
    network = OnnxNetwork(document, threads=1)
    dataset = read_source(data, model.labels).dataset
    chosen = np.random.default_rng(0).permutation(len(dataset.validation))[:PICTURES]
    pictures = dataset.validation.x[np.sort(chosen)]
    labels = model.score(pictures).probabilities.argmax(axis=1)
    without = rise.usual_without(dataset.train.x, dataset.train.truth(len(model.labels)))
    baselines = {
        "usual picture without the label": without[labels],
        "mean of training": np.full_like(pictures, round(float(dataset.train.x.mean()))),
        "blurred": blurred(pictures),
    }

    def probability(shown: Pictures) -> NDArray[np.float64]:
        p = model.spec.calibration.apply(network.run_all(shown)["logits"])
        return p[np.arange(len(shown)), labels]

    def masking(network: OnnxNetwork, pictures: Pictures, labels: NDArray[np.int64]) -> Maps:
        rows = zip(pictures, labels, without[labels], strict=True)
        return np.stack(
            [
                rise.evidence(log_odds(network, label), picture, baseline)
                for picture, label, baseline in rows
            ]
        )

    print(
        f"{version.identity.name}@{version.identity.version}: {np.bincount(labels)} of each label"
    )
    for title, baseline in baselines.items():
        p = probability(baseline)
        of_each = ", ".join(f"{p[labels == label].mean():.2f}" for label in np.unique(labels))
        print(f"- probability of the explained label, by label, in the {title}: {of_each}")
    print("\n| map | passes | ms | baseline | insertion | deletion | over random (95% CI) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    correlations = []
    for title, passes, explain in (
        ("class activation", 1, activation),
        ("masking", rise.MASKS, masking),
    ):
        start = time.perf_counter()
        maps = explain(network, pictures, labels)
        ms = 1000 * (time.perf_counter() - start) / len(pictures)
        for place, baseline in baselines.items():
            found = faithfulness(probability, pictures, maps, baseline)
            over = found.over_random
            print(
                f"| {title} | {passes} | {ms:.1f} | {place} | {found.insertion.value:.3f} "
                f"| {found.deletion.value:.3f} "
                f"| {over.value:.3f} ({over.low:.3f} to {over.high:.3f}) |",
                flush=True,
            )
        others = [explain(shuffled(document, s), pictures, labels) for s in range(SHUFFLINGS)]
        signed, absolute = (
            np.nanmean([rank_correlation(f(maps), f(other)) for other in others])
            for f in (np.asarray, np.abs)
        )
        correlations.append(f"| {title} | {signed:.3f} | {absolute:.3f} |")
    print("\n| map | rank correlation after shuffling | of absolute values |\n| --- | --- | --- |")
    print("\n".join(correlations))


def activation(network: OnnxNetwork, pictures: Pictures, labels: NDArray[np.int64]) -> Maps:
    """Class-activation maps, enlarged to the pictures' size."""
    size = pictures.shape[2:][::-1]
    small = network.run_all(pictures)["maps"]
    evidence = [heatmap.evidence(maps, int(k)) for maps, k in zip(small, labels, strict=True)]
    bicubic = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(m).resize(size, bicubic)) for m in evidence])


def log_odds(network: OnnxNetwork, label: int) -> Callable[[Pictures], NDArray[np.float64]]:
    """The log-odds of one label against the others."""

    def score(pictures: Pictures) -> NDArray[np.float64]:
        logits = network.run_all(pictures)["logits"].astype(np.float64)
        others = np.delete(logits, label, axis=1)
        return np.asarray(logits[:, label] - np.logaddexp.reduce(others, axis=1))

    return score


def blurred(pictures: Pictures) -> Pictures:
    """Pictures blurred by a Gaussian of a fifth of their side."""
    radius = pictures.shape[-1] / 5
    planes = pictures.reshape(-1, *pictures.shape[2:])
    smooth = [Image.fromarray(p).filter(ImageFilter.GaussianBlur(radius)) for p in planes]
    return np.stack([np.asarray(p) for p in smooth]).reshape(pictures.shape)


def shuffled(document: bytes, seed: int) -> OnnxNetwork:
    """The network with the values of every weight tensor in random order."""
    rng = np.random.default_rng(seed)
    model = onnx.load_model_from_string(document)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 1:
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(mixed, tensor.name))
    return OnnxNetwork(model.SerializeToString(), threads=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:] or ["chest-xray-pneumonia"])
