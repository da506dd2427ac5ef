"""Members and views made one network: what is exported."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polyclinic.diagnosis.imaging.networks.network import Network


class Served(nn.Module):
    """Whole pictures (n, c, h, w) uint8 in, logits, features and maps out, in one pass.

    Logits and maps are the mean over all members, and with `mirror` over pictures as they are and
    with left and right exchanged. Features are the first member's, of pictures as they are:
    familiarity needs one space to measure distance in.
    """

    def __init__(self, members: Sequence[Network], *, mirror: bool = False) -> None:
        super().__init__()
        self._members = tuple(members)
        self._mirror = mirror
        # Registered, so that they are moved and put into evaluation mode together.
        self.members = nn.ModuleList(members)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, k), features (n, d) and maps (n, k, h', w')."""
        values = to_unit(pictures)
        seen = [member.outputs(values) for member in self._members]
        logits, maps = [each.logits for each in seen], [each.maps for each in seen]
        if self._mirror:
            for member in self._members:
                mirrored = member.outputs(values.flip(3))
                logits.append(mirrored.logits)
                maps.append(mirrored.maps.flip(3))
        return (
            torch.stack(logits).mean(dim=0),
            seen[0].features,
            torch.stack(maps).mean(dim=0),
        )


def to_unit(pictures: Tensor) -> Tensor:
    """Pictures of uint8 as float32 in [0, 1]."""
    return pictures.float() / 255.0
