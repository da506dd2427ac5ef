"""What a model version of kind `discovery.admet` says of itself, besides its weights."""

from pydantic import Field

from polyclinic.core.frozen import Frozen

KIND = "discovery.admet"
NETWORKS_FILE = "networks.safetensors"
APPROVED_FILE = "approved.safetensors"
NOTICE_FILE = "notice.txt"


class AdmetSpec(Frozen):
    """How the networks are put together.

    families: by name, in order, the endpoints that its networks tell. size: networks a family.
    depth: of message passing. alpha: a molecule whose familiarity is at or below is unfamiliar.
    approved: what the percentiles are of, in words; drugs: how many. agreement: the greatest
    difference from the original's answers on the molecules that the conversion was checked with.
    quick: the networks of each family, by number, that are asked where all are too slow;
    quick_agreement: by endpoint, how their order of drugs agrees with that of all (Spearman's rho,
    on drugs that they were not chosen by); quick_least: below it an endpoint is not told by them.
    """

    families: dict[str, tuple[str, ...]]
    size: int = Field(ge=2)
    depth: int = Field(ge=1)
    alpha: float = Field(gt=0, lt=1)
    approved: str
    drugs: int
    agreement: float
    quick: tuple[int, ...]
    quick_agreement: dict[str, float]
    quick_least: float

    @property
    def names(self) -> tuple[str, ...]:
        """All endpoints, in order."""
        return tuple(name for told in self.families.values() for name in told)
