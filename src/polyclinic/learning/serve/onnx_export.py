"""From a trained network to ONNX, checked against the original before anything is registered."""

import logging
import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from polyclinic.core.errors import IntegrityError
from polyclinic.learning.serve.onnx_network import OnnxNetwork

TOLERANCE = 1e-4


def export_onnx(
    network: nn.Module,
    examples: NDArray[np.generic],
    outputs: Sequence[str],
    free: Sequence[int] = (0,),
) -> bytes:
    """An ONNX model of `network`, which maps one batch (n, ...) to a tuple of `outputs` (n, ...).

    `examples` (m >= 3, ...) are real inputs. The dimensions `free`, such as the number of examples
    in a batch, stay free. The ONNX model is run on batches of 1, 2 and all of them, and refused
    with `IntegrityError` where any output differs from the network's by more than `TOLERANCE`
    times (1 + its size).
    """
    network = network.cpu().eval()
    inputs = torch.from_numpy(np.ascontiguousarray(examples))
    for noisy in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (inputs[:2],),
            dynamo=True,
            verbose=False,
            input_names=["inputs"],
            output_names=list(outputs),
            dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.AUTO),),
        )
    if program is None:
        raise IntegrityError("The exporter gave no model.")
    model = program.model_proto
    _forget_sources(model)
    exported: bytes = model.SerializeToString()
    _check(exported, network, inputs, outputs)
    return exported


def _forget_sources(model: onnx.ModelProto) -> None:
    """Leave out what the exporter notes of source files: their folders are this machine's."""
    for graph in (model.graph, *model.functions):
        del graph.metadata_props[:]
        for part in (*graph.node, *graph.value_info):
            del part.metadata_props[:]
            part.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.ClearField("doc_string")


@torch.no_grad()
def _check(
    exported: bytes, network: nn.Module, inputs: torch.Tensor, outputs: Sequence[str]
) -> None:
    runtime = OnnxNetwork(exported, threads=1)
    for size in (1, 2, len(inputs)):
        wanted = network(inputs[:size])
        given = runtime.run(inputs[:size].numpy())
        for name, tensor in zip(outputs, wanted, strict=True):
            expected = tensor.numpy()
            error = np.max(np.abs(given[name] - expected) / (1 + np.abs(expected)))
            if not error <= TOLERANCE:
                raise IntegrityError(
                    f"The exported model differs from the original by {error:.2e}.",
                    where=f"output {name!r}, batch of {size}",
                )
