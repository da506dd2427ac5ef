"""The recipe of an ADMET model: the published networks to convert, the drugs to compare with."""

from typing import Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.learning.prepare.catalogue import WheelEntry
from polyclinic.registry.manifest import NAME, CardText


class AdmetRecipe(Frozen):
    """Step by step: `networks` and `approved` are what prepare fetches, by digest; build reads.

    networks: by family, in the order of its networks, checkpoints inside a wheel, and the notice
    that goes with them. approved: the approved drugs, a Parquet file with a column `smiles`.
    tolerance: the greatest difference from the original's own answers, above which evaluate refuses
    the conversion. seed: which drugs are held out for familiarity. alpha: at or below it a molecule
    is unfamiliar. quick: so many networks of each family are asked in the quick mode, which tells
    an endpoint where its agreement with all (Spearman's rho) is at least quick_least.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["discovery.admet"]
    licence: str
    seed: int = 0
    networks: dict[str, WheelEntry]
    approved: WheelEntry
    tolerance: float = Field(default=1e-3, gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    quick: int = Field(default=3, ge=2)
    quick_least: float = Field(default=0.985, ge=0, le=1)
    card: CardText
