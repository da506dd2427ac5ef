"""A small, real model version for tests: an ONNX graph, and a manifest that fits it."""

from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from polyclinic.core.digest import sha256
from polyclinic.core.evaluation import (
    ConformalResult,
    Estimate,
    Evaluation,
    OperatingPoint,
    OperatingPointResult,
    ReliabilityBin,
    SubgroupResult,
)
from polyclinic.core.prediction import Coding
from polyclinic.registry.manifest import Artefact, CardText, DataUse, Manifest

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LABELS = (
    Coding(system="http://snomed.info/sct", code="17621005", display="Normal"),
    Coding(system=ICD, code="J18.9", display="Pneumonia, unspecified organism"),
)
DATASET = sha256(b"the data set")
TIME = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def sample_network(bias: float = 0.0) -> bytes:
    """Logits from 4 numbers by one matrix: a whole ONNX file of some hundred bytes."""
    weights = np.arange(8, dtype=np.float32).reshape(4, 2) / 8
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["logits"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.full(2, bias, np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def sample_files(bias: float = 0.0) -> dict[str, bytes]:
    """The artefacts by name."""
    return {"network.onnx": sample_network(bias), "reference.bin": bytes(range(256))}


def estimate(value: float) -> Estimate:
    """A value with an interval around it."""
    return Estimate(value=value, low=value - 0.02, high=min(1.0, value + 0.02))


def sample_evaluation(
    part: Literal["validation", "test", "external"] = "validation",
    *,
    subgroups: bool = False,
    auc: float = 0.95,
    **changes: Any,
) -> Evaluation:
    """A plausible evaluation."""
    point = OperatingPoint(name="sensitive", label="J18.9", threshold=0.31)
    other = OperatingPoint(name="balanced", label="J18.9", threshold=0.62)
    figures = {"sensitivity": estimate(0.96), "specificity": estimate(0.81), "ppv": estimate(0.9)}
    values: dict[str, Any] = {
        "dataset": "Chest | X-rays",
        "dataset_digest": DATASET,
        "part": part,
        "time": TIME,
        "examples": 524,
        "patients": None,
        "label_counts": {"17621005": 135, "J18.9": 389},
        "metrics": {name: estimate(0.9) for name in ("auprc", "accuracy")}
        | {"auc": estimate(auc), "brier": estimate(0.07), "ece": estimate(0.03)},
        "reliability": tuple(
            ReliabilityBin(probability=p, observed=min(1.0, p + 0.04), count=int(300 * p) + 5)
            for p in (0.05, 0.25, 0.5, 0.75, 0.95)
        ),
        "operating_points": (
            OperatingPointResult(point=point, chosen=True, metrics=figures),
            OperatingPointResult(point=other, chosen=False, metrics=figures),
        ),
        "conformal": ConformalResult(
            method="class-conditional",
            promised=0.9,
            coverage=estimate(0.91),
            coverage_by_label={"17621005": estimate(0.9), "J18.9": estimate(0.92)},
            mean_size=estimate(1.1),
            single_label=estimate(0.88),
        ),
        "abstained": estimate(0.06),
        "unfamiliar": estimate(0.05),
        "subgroups": (
            SubgroupResult(
                attribute="sex", value="female", examples=250, metrics={"auc": estimate(0.94)}
            ),
        )
        if subgroups
        else (),
    }
    return Evaluation(**(values | changes))


def sample_manifest(
    files: dict[str, bytes], name: str = "chest-xray-pneumonia", **changes: Any
) -> Manifest:
    """A manifest of `files`."""
    values: dict[str, Any] = {
        "name": name,
        "kind": "diagnosis.image",
        "created": TIME,
        "licence": "CC-BY-4.0",
        "labels": LABELS,
        "artefacts": {n: Artefact(digest=sha256(d), size=len(d)) for n, d in files.items()},
        "spec": {"side": 64, "mean": [0.48], "nested": {"alpha": 0.05, "none": None}},
        "data": DataUse(
            name="Chest X-rays",
            digest=DATASET,
            licence="CC-BY-4.0",
            source="https://doi.org/10.17632/rscbjbr9sj.2",
            parts={
                "train": {"17621005": 1214, "J18.9": 3494},
                "validation": {"17621005": 135, "J18.9": 389},
            },
        ),
        "recipe": "name: chest-xray-pneumonia\nseed: 7\n",
        "seed": 7,
        "versions": {"torch": "2.13.0", "numpy": "2.5.0"},
        "training": {"epochs": 12.0, "seconds": 311.5},
        "validation": sample_evaluation(),
        "card": CardText(
            title="Pneumonia on paediatric chest X-rays",
            developer="Polyclinic project <maintainers@example.org>",
            intended_use="Find pneumonia on frontal chest X-rays of children",
        ),
    }
    return Manifest(**(values | changes))
