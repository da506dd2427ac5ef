"""From scored treatments to a list that is safe in itself. No score outvotes a safety rule."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from polyclinic.treatment.safety import SafetyFinding

Findings = tuple[SafetyFinding, ...]
#: What the rules say against a drug where the patient is given another as well.
Together = Callable[[str, str], Findings]


@dataclass(frozen=True)
class Scored:
    """A treatment on its way into an answer: its place in the vocabulary, its drug and score."""

    place: int
    drug: str
    score: float
    in_set: bool
    safety: Findings = ()

    @property
    def vetoed(self) -> bool:
        """Whether a rule takes it out."""
        return any(finding.action == "veto" for finding in self.safety)


def in_safe_order(
    scored: Iterable[Scored], against: Mapping[str, Findings], together: Together, top: int
) -> tuple[list[Scored], list[Scored]]:
    """The best `top` in order, and those that were vetoed on the way to them, or are of the set.

    First those of the treatment set, of these first the ones without a warning, then by score. What
    a rule forbids together with a treatment of the set further up is vetoed, too, and what it warns
    of is warned: the set may be given as a whole.
    """
    found = [replace(each, safety=tuple(against.get(each.drug, ()))) for each in scored]
    kept: list[Scored] = []
    vetoed: list[Scored] = []
    of_set: list[Scored] = []
    for each in sorted(found, key=_rank):
        if len(kept) >= top and not each.in_set:
            break
        beside = [one for above in of_set for one in together(each.drug, above.drug)]
        own = replace(each, safety=(*each.safety, *beside))
        if own.vetoed:
            vetoed.append(own)
            continue
        kept.append(own)
        if own.in_set:
            of_set.append(own)
    return sorted(kept, key=_rank)[:top], vetoed


def apart(drug: str, other: str) -> Findings:
    """Nothing: treatments of which one is given stand beside no other."""
    return ()


def _rank(each: Scored) -> tuple[bool, bool, float]:
    # What is vetoed keeps the place of its score until it is taken out, so that it is told of.
    warned = not each.vetoed and any(finding.action == "warning" for finding in each.safety)
    return not each.in_set, warned, -each.score
