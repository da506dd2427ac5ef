"""Published checkpoints of chemprop to arrays that are served: read, checked, named."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.discovery.admet.steps.checkpoint import read_checkpoint

Arrays = dict[str, NDArray[np.float32]]

#: Our name of each weight, the checkpoint's, and whether it multiplies from the other side there.
_NAMES = (
    ("start", "message_passing.W_i.weight", True),
    ("onward", "message_passing.W_h.weight", True),
    ("atom", "message_passing.W_o.weight", True),
    ("atom_bias", "message_passing.W_o.bias", False),
    ("hidden", "predictor.ffn.0.0.weight", True),
    ("hidden_bias", "predictor.ffn.0.0.bias", False),
    ("out", "predictor.ffn.1.2.weight", True),
    ("out_bias", "predictor.ffn.1.2.bias", False),
)
#: What a network must be for `Network` to tell the same: anything else is refused.
_MESSAGES = {
    "cls": "chemprop.nn.message_passing.base.BondMessagePassing",
    "activation": "torch.nn.modules.activation.ReLU",
    "bias": False,
    "undirected": False,
    "depth": 3,
}
_SUM = {"cls": "chemprop.nn.agg.NormAggregation", "norm": 100}
_PREDICTORS = {
    "chemprop.nn.predictors.BinaryClassificationFFN": "classification",
    "chemprop.nn.predictors.RegressionFFN": "regression",
}
DEPTH = int(str(_MESSAGES["depth"]))


def convert(content: bytes, family: str) -> tuple[tuple[str, ...], Arrays]:
    """The endpoints that a checkpoint of this family tells, and its weights as `Network` has them.

    Raises `IntegrityError` where it is not a network of the kind that is known here.
    """
    checkpoint = read_checkpoint(content)
    try:
        made = checkpoint["hyper_parameters"]
        _check(made, family)
        state: Mapping[str, NDArray[np.float32]] = checkpoint["state_dict"]
        told = tuple(str(name) for name in checkpoint["output_columns"])
        arrays = {
            ours: np.ascontiguousarray(state[theirs].T if turned else state[theirs])
            for ours, theirs, turned in _NAMES
        }
        transform = "predictor.output_transform."
        one, none = np.ones((1, len(told)), np.float32), np.zeros((1, len(told)), np.float32)
        arrays["scale"] = np.array(state.get(transform + "scale", one)[0])
        arrays["shift"] = np.array(state.get(transform + "mean", none)[0])
    except (KeyError, AttributeError, TypeError, IndexError) as error:
        raise IntegrityError(f"The checkpoint lacks what a network needs: {error!r}") from None
    return told, arrays


def _check(made: Mapping[str, Any], family: str) -> None:
    found = {
        **{
            f"messages: {name}": (_plain(made["message_passing"][name]), right)
            for name, right in _MESSAGES.items()
        },
        **{f"sum: {name}": (_plain(made["agg"][name]), right) for name, right in _SUM.items()},
        "batch norm": (made["batch_norm"], False),
        "predictor": (_PREDICTORS.get(_plain(made["predictor"]["cls"])), family),
        "layers": (made["predictor"]["n_layers"], 1),
        "activation": (_plain(made["predictor"]["activation"]), _MESSAGES["activation"]),
    }
    for what, (value, right) in found.items():
        if value != right:
            raise IntegrityError(f"The network is not of a known kind: {what} is {value}.")


def _plain(value: Any) -> Any:
    """A value, or of a class or an object that was not read its full name."""
    return getattr(value, "of_class", value)
