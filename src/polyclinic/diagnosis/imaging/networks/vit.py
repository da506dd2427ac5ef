"""The vision transformer (Dosovitskiy et al. 2021), by MONAI."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.networks.network import Averaged, Scale


class ViTSettings(Frozen):
    """A vision transformer over patches of `patch` pixels a side.

    The defaults are those of DeiT-Ti (Touvron et al. 2021, table 1). `dropout` is that of every
    block and of the head.
    """

    name: Literal["vit"]
    patch: int = Field(default=16, ge=1)
    width: int = Field(default=192, ge=1)
    depth: int = Field(default=12, ge=2)
    heads: int = Field(default=3, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "ViTSettings":
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class ViT(Averaged):
    """A transformer whose head takes the average of the patches' tokens, not a class token.

    This does as well or better (Beyer, Zhai and Kolesnikov 2022, "Better plain ViT baselines"), and
    makes the share of each patch in a logit exact.
    """

    def __init__(
        self, settings: ViTSettings, channels: int, size: int, labels: int, scale: Scale
    ) -> None:
        grid = size // settings.patch
        if size % settings.patch or grid < 2:
            fitting = ", ".join(
                str(patch) for patch in range(1, size // 2 + 1) if size % patch == 0
            )
            raise InvalidInput(
                f"vit with patch {settings.patch} cannot divide pictures of {size} × {size} pixels "
                "into two or more patches a side.",
                where="model.patch",
                remedy=f"Choose one of {fitting}.",
            )
        from monai.networks.nets.vit import ViT as MonaiViT

        body = MonaiViT(
            channels,
            size,
            settings.patch,
            hidden_size=settings.width,
            mlp_dim=4 * settings.width,
            num_layers=settings.depth,
            num_heads=settings.heads,
            dropout_rate=settings.dropout,
            spatial_dims=2,
        )
        # MONAI's blocks hold a normalisation that is used only where they look at a second input.
        for block in body.blocks:
            block.norm_cross_attn = nn.Identity()
        super().__init__(body, settings.width, labels, settings.dropout, scale)
        self.grid = grid

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The tokens half way and at the end, as maps of one place a patch."""
        last, hidden = self.body(pictures)
        return [self._as_maps(hidden[len(hidden) // 2 - 1]), self._as_maps(last)]

    def _as_maps(self, tokens: Tensor) -> Tensor:
        n, _, width = tokens.shape
        return tokens.transpose(1, 2).reshape(n, width, self.grid, self.grid)
