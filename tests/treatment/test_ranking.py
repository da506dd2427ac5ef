"""From scored treatments to a list that is safe in itself."""

from collections.abc import Sequence

from polyclinic.core.prediction import Coding
from polyclinic.treatment.ranking import Scored, in_safe_order
from polyclinic.treatment.safety import SafetyFinding
from polyclinic.treatment.safety.finding import Action


def finding(action: Action) -> SafetyFinding:
    return SafetyFinding(
        kind="interaction",
        action=action,
        drug=Coding(system="urn:test", code="a", display="a"),
        because=("a test",),
        severity="major",
        mechanism="",
        management="",
        rule="test",
        source="https://test",
    )


def never(drug: str, other: str) -> tuple[SafetyFinding, ...]:
    return ()


def scored(names: str, in_set: str = "") -> list[Scored]:
    """The treatments of these letters, the best first."""
    return [Scored(i, name, -float(i), name in in_set) for i, name in enumerate(names)]


def names(ranked: Sequence[Scored]) -> str:
    return "".join(each.drug for each in ranked)


def test_a_warning_ranks_below_any_score_and_an_unknown_moves_nothing() -> None:
    against = {"a": (finding("warning"),), "b": (finding("unknown"),)}
    kept, vetoed = in_safe_order(scored("abcd"), against, never, 4)
    assert names(kept) == "bcda"
    assert not vetoed


def test_a_veto_takes_out_whatever_the_score() -> None:
    kept, vetoed = in_safe_order(scored("abc"), {"a": (finding("veto"),)}, never, 2)
    assert (names(kept), names(vetoed)) == ("bc", "a")


def test_a_pair_of_the_set_is_broken_even_beyond_the_top() -> None:
    def together(drug: str, other: str) -> tuple[SafetyFinding, ...]:
        return (finding("veto"),) if {drug, other} == {"c", "d"} else ()

    kept, vetoed = in_safe_order(scored("abcd", in_set="abcd"), {}, together, 2)
    assert (names(kept), names(vetoed)) == ("ab", "d")
