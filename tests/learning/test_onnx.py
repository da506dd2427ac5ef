import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polyclinic.core.errors import IntegrityError
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.serve.onnx_network import OnnxNetwork


class Two(nn.Module):
    """A network of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.linear(x), x.mean(1)


class Random(nn.Module):
    """A network whose answer is never the same: no export can agree with it."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x + torch.rand_like(x),)


EXAMPLES = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)


def test_the_exported_model_gives_the_networks_answers_for_any_batch() -> None:
    network = Two()
    served = OnnxNetwork(export_onnx(network, EXAMPLES, ("logits", "means")), threads=1)
    for n in (1, 5, 16):
        outputs = served.run(EXAMPLES[:n])
        with torch.no_grad():
            logits, _ = network(torch.from_numpy(EXAMPLES[:n]))
        assert outputs["logits"] == pytest.approx(logits.numpy(), abs=1e-5)
        assert outputs["means"] == pytest.approx(EXAMPLES[:n].mean(1), abs=1e-5)
    many = np.concatenate([EXAMPLES] * 40)
    assert served.run_all(many, size=100)["means"] == pytest.approx(many.mean(1), abs=1e-5)


def test_the_exported_model_names_no_source_file_of_the_machine_that_made_it() -> None:
    exported = export_onnx(Two(), EXAMPLES, ("logits", "means"))
    assert b".py" not in exported
    assert b"/lib" not in exported


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(IntegrityError, match="cannot load"):
        OnnxNetwork(b"no model", threads=1)


def test_an_export_that_differs_from_the_original_is_refused() -> None:
    with pytest.raises(IntegrityError, match="differs"):
        export_onnx(Random(), EXAMPLES, ("noise",))
