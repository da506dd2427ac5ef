"""Step 4, first half: export the network, and fit what makes its scores answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import safetensors.numpy

from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.networks import Network, Served
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.rise import usual_without
from polyclinic.diagnosis.imaging.spec import (
    FAMILIARITY_FILE,
    NETWORK_FILE,
    SHIFT_FILE,
    WITHOUT_FILE,
    ImageSpec,
    batch_size,
)
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.trust.calibration import choose_calibration
from polyclinic.learning.trust.conformal import fit_conformal
from polyclinic.learning.trust.familiarity import fit_familiarity
from polyclinic.learning.trust.operating_points import choose_operating_point
from polyclinic.learning.trust.shift_alarm import fit_shift_reference


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
    trust = recipe.trust
    calibration, _ = choose_calibration(
        outputs["logits"], held_out.y, trust.calibration, seed=recipe.seed
    )
    probabilities = calibration.apply(outputs["logits"])
    truth = held_out.truth(len(dataset.labels))
    findings = recipe.data.findings_of(dataset.labels)
    spec = ImageSpec(
        channels=held_out.x.shape[1],
        size=size,
        findings=findings,
        multi_label=dataset.multi_label,
        ordinal=recipe.data.ordinal,
        calibration=calibration,
        operating_points=tuple(
            choose_operating_point(name, label.code, probabilities[:, index], truth[:, index])
            for name in trust.operating_points
            for index, label in enumerate(dataset.labels)
            if label.code in findings
        ),
        decides=trust.operating_point,
        conformal=fit_conformal(trust.conformal, trust.coverage, probabilities, held_out.y),
        # Among n held-out pictures no p-value is below 1 / (n + 1).
        familiarity_alpha=max(trust.familiarity, 1 / (len(held_out) + 1)),
        accepts=recipe.accepts,
        explanation=trust.explanation,
    )
    seen = runtime.run_all(train.x, batch_size(size))["features"]
    familiarity = fit_familiarity(seen, train.y, outputs["features"])
    shift = fit_shift_reference(seen, outputs["features"], probabilities, held_out.y)
    without = usual_without(train.x, train.truth(len(dataset.labels)))
    files = {
        NETWORK_FILE: exported,
        FAMILIARITY_FILE: safetensors.numpy.save(familiarity.to_arrays()),
        SHIFT_FILE: safetensors.numpy.save(shift.to_arrays()),
        WITHOUT_FILE: safetensors.numpy.save({"without": without}),
    }
    return Model(files, spec, sum(weights.numel() for weights in served.parameters()))
