"""Recurrent networks: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014)."""

from torch import Tensor, nn

from polyclinic.diagnosis.records.models.settings import RecurrentSettings


class Recurrent(nn.Module):
    """The hidden state (b, width) after a series (b, t, channels)."""

    def __init__(self, settings: RecurrentSettings, channels: int) -> None:
        super().__init__()
        self.cells = {"gru": nn.GRU, "lstm": nn.LSTM}[settings.cell](
            channels,
            settings.width,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )

    def forward(self, series: Tensor) -> Tensor:
        """The hidden state of the last row."""
        states: Tensor = self.cells(series)[0]
        return states[:, -1]
