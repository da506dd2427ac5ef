"""Step 4, first half: export the network, and fit what makes its scores answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import safetensors.numpy

from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.networks import Network, Served
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.rise import usual_without
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE, WITHOUT_FILE, ImageSpec, batch_size
from polyclinic.diagnosis.trust import fit_answers, fit_usual
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.serve.onnx_network import OnnxNetwork


@dataclass(frozen=True)
class Model:
    """A trained model as it will be stored: its files by name, and what serving needs beside.

    parameters: how many weights it has, of all members.
    """

    files: dict[str, bytes]
    spec: ImageSpec
    parameters: int


def fit_trust(recipe: ImageRecipe, dataset: Dataset, networks: Sequence[Network]) -> Model:
    """Export the members as one network and fit on validation what makes its scores answers.

    The exported network is what is calibrated, so that what is measured is what is served.
    """
    served = Served(networks, mirror=recipe.serve.mirror)
    exported = export_onnx(served, dataset.train.x[:64], ("logits", "features", "maps"))
    runtime = OnnxNetwork(exported, settings().inference_threads)
    train, held_out = dataset.train, dataset.validation
    size = held_out.x.shape[2]
    outputs = runtime.run_all(held_out.x, batch_size(size))
    spec = ImageSpec(
        **fit_answers(
            recipe.trust,
            dataset.labels,
            recipe.data.findings_of(dataset.labels),
            held_out,
            outputs["logits"],
            ordinal=recipe.data.ordinal,
            seed=recipe.seed,
        ),
        channels=held_out.x.shape[1],
        size=size,
        accepts=recipe.accepts,
        explanation=recipe.trust.explanation,
        subgroups=recipe.data.subgroups,
    )
    seen = runtime.run_all(train.x, batch_size(size))["features"]
    probabilities = spec.calibration.apply(outputs["logits"])
    without = usual_without(train.x, train.truth(len(dataset.labels)))
    files = {
        NETWORK_FILE: exported,
        **fit_usual(train, held_out, seen, outputs["features"], probabilities),
        WITHOUT_FILE: safetensors.numpy.save({"without": without}),
    }
    return Model(files, spec, sum(weights.numel() for weights in served.parameters()))
