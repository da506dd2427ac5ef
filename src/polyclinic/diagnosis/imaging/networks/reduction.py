"""What the published convolutional networks have in common: their last maps are small."""

from typing import Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.networks.network import require_size


class ReducingSettings(Frozen):
    """A network whose last maps are `reduction` times smaller than the picture, a side.

    32 as published, for pictures of 224 pixels; 16 and 8 leave out the first halvings, for small
    pictures. The weights have the same shapes in all three. `dropout` comes before the head.
    """

    reduction: Literal[8, 16, 32] = 32
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)

    def require(self, network: str, size: int) -> None:
        """Raise `InvalidInput` where the last maps would have fewer than 2 × 2 places.

        With one place a heat map says nothing, and DenseNet's last halving has nothing to halve.
        """
        least = 2 * self.reduction
        fitting = [reduction for reduction in (8, 16) if 2 * reduction <= size]
        remedy = f"Set model.reduction to {fitting[-1]}." if fitting else "Choose model: residual."
        require_size(size, least, f"{network} with reduction {self.reduction}", remedy)
