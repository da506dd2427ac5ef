import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.diagnosis.records.notes.sentences import (
    MAX_CHARACTERS,
    MAX_SENTENCES,
    sentences,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No fever. Chest pain since May.", ["No fever.", "Chest pain since May."]),
        ("Seen by Dr. Smith today. Well.", ["Seen by Dr. Smith today.", "Well."]),
        ("Temp. 38.5 C, gave 2.5 mg. Now better.", ["Temp. 38.5 C, gave 2.5 mg. Now better."]),
        ("Sepsis\n- pneumonia\n\nAKI", ["Sepsis", "- pneumonia", "AKI"]),
        ("  \n ", []),
        ("Pain? Yes! (Old.) New", ["Pain?", "Yes!", "(Old.)", "New"]),
    ],
)
def test_a_note_is_cut_where_sentences_end(text: str, expected: list[str]) -> None:
    assert sentences(text) == (expected, True)


@given(st.text(alphabet="ab A.!?\n\"')(1", max_size=300))
def test_nothing_but_white_space_and_closing_marks_is_lost(text: str) -> None:
    kept = "".join("".join(sentences(text)[0]).split())
    for mark in "\"')":
        kept = kept.replace(mark, "")
        text = text.replace(mark, "")
    assert kept == "".join(text.split())


def test_a_long_note_is_read_up_to_the_limits_and_says_so() -> None:
    found, whole = sentences("Well.\n" * (MAX_SENTENCES + 1))
    assert (len(found), whole) == (MAX_SENTENCES, False)
    found, whole = sentences("a" * (MAX_CHARACTERS + 1))
    assert ([len(part) for part in found], whole) == ([MAX_CHARACTERS], False)
