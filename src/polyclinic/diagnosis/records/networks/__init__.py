"""Networks over hourly values, built with torch; served by `models.network` without it."""

import numpy as np
from torch import nn

from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.models.linear import usual_values
from polyclinic.diagnosis.records.models.settings import (
    NetworkSettings,
    RecurrentSettings,
    TransformerSettings,
)
from polyclinic.diagnosis.records.networks.recurrent import Recurrent
from polyclinic.diagnosis.records.networks.series import SeriesNetwork, Standard
from polyclinic.diagnosis.records.networks.transformer import Transformer

__all__ = ["SeriesNetwork", "build_network"]


def build_network(
    settings: NetworkSettings, encoding: Encoding, x: Floats, labels: int
) -> SeriesNetwork:
    """The network of so many labels over features (n, d) of `encoding`, as they are in training."""
    fixed = sum(feature.statistic != "at" for feature in encoding.features)
    variables = (len(encoding.features) - fixed) // settings.steps
    series = x[:, fixed:].reshape(-1, variables)
    # Medians of a part of the rows: of millions all would take minutes and say the same.
    rows = np.random.default_rng(0).permutation(len(series))[:200_000]
    return SeriesNetwork(
        _encoder(settings, 3 * variables + 1),
        steps=settings.steps,
        labels=labels,
        fixed=Standard(*usual_values(x[:, :fixed])),
        series=Standard(*usual_values(series[np.sort(rows)])),
        dropout=settings.dropout,
    )


def _encoder(settings: NetworkSettings, channels: int) -> nn.Module:
    if isinstance(settings, TransformerSettings):
        return Transformer(settings, channels)
    if isinstance(settings, RecurrentSettings):
        return Recurrent(settings, channels)
    raise TypeError(f"There is no network of {settings}.")
