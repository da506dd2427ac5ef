"""What Captum says of a network over hourly values, where Polyclinic answers by occlusion."""

from collections.abc import Sequence

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

from polyclinic.diagnosis.records.models.settings import NetworkSettings
from polyclinic.diagnosis.records.networks import SeriesNetwork, build_network
from polyclinic.diagnosis.records.steps.prepare import Prepared
from polyclinic.learning.build.initialise import initialise

#: Stands for what is unknown where Captum, which multiplies by zero, would spread a NaN.
UNKNOWN = -1e9

Groups = Sequence[NDArray[np.int64]]


def trained_network(settings: NetworkSettings, prepared: Prepared, epochs: int) -> SeriesNetwork:
    """A network of two labels, as it is before its export."""
    train = prepared.dataset.train
    network = build_network(settings, prepared.encoding, train.x, 2)
    initialise(network, "xavier", 0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.005)
    x, y = torch.as_tensor(train.x), torch.as_tensor(train.y)
    torch.manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(128):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
    return network.eval()


def ablated(network: SeriesNetwork, x: NDArray[np.float32], groups: Groups) -> NDArray[np.float64]:
    """What the log-odds of the second of two labels lose without each group (n, g): Captum's."""

    def log_odds(given: Tensor) -> Tensor:
        logits = network(torch.where(given == UNKNOWN, torch.nan, given))
        return logits[:, 1] - logits[:, 0]

    known = torch.as_tensor(np.where(np.isnan(x), np.float32(UNKNOWN), x))
    # What is in no group is one of its own.
    mask = torch.full((1, x.shape[1]), len(groups))
    for index, columns in enumerate(groups):
        mask[0, torch.as_tensor(columns)] = index
    with torch.no_grad():
        each = FeatureAblation(log_odds).attribute(known, baselines=UNKNOWN, feature_mask=mask)
    return np.stack([each[:, columns[0]].numpy() for columns in groups], axis=1)


def variables(network: SeriesNetwork) -> Groups:
    """The columns of each variable: the fixed ones but how long the stay is, then the series."""
    f, v = len(network.fixed), len(network.series)
    return [*np.arange(f - 1)[:, None], *(f + np.arange(network.steps * v).reshape(-1, v).T)]


def integrated(network: SeriesNetwork, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Integrated gradients of the same log-odds by variable (n, g), as in `variables`: Captum's.

    The path leads from a stay as long of which nothing is known. It is one of what the network
    makes of features before it learns: values carried forward, whether known, and since when.
    Source: Sundararajan, Taly and Yan 2017, section 3.
    """

    def log_odds(channels: Tensor, fixed: Tensor) -> Tensor:
        logits = network.head(torch.cat([network.body(channels), fixed], dim=1))
        return logits[:, 1] - logits[:, 0]

    f, v = len(network.fixed), len(network.series)
    nothing = np.full_like(x, np.nan)
    nothing[:, f - 1] = x[:, f - 1]
    series, fixed = IntegratedGradients(log_odds).attribute(
        _seen(network, x), _seen(network, nothing), n_steps=32
    )
    by_channel = series.sum(dim=1)[:, : 3 * v].reshape(-1, 3, v).sum(dim=1)
    by_fixed = fixed.reshape(-1, 2, f).sum(dim=1)[:, : f - 1]
    return torch.cat([by_fixed, by_channel], dim=1).numpy()


def _seen(network: SeriesNetwork, x: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """What the network's body is given, and what its head is given beside (n, 2 f)."""
    given: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        for layer in (network.body, network.head)
    ]
    with torch.no_grad():
        network(torch.as_tensor(x))
    for hook in hooks:
        hook.remove()
    channels, encoded = given
    return channels, encoded[:, -2 * len(network.fixed) :]


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of two attributions (n, g) over the groups known, by row (n,)."""
    from scipy.stats import spearmanr

    found = []
    for these, those in zip(one, other, strict=True):
        known = (these != 0) | (those != 0)
        if known.sum() > 2:
            found.append(spearmanr(these[known], those[known]).statistic)
    return np.array(found)
