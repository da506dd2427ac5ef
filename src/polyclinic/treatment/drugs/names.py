"""Drug names in free text: an order such as `Metoprolol Tartrate 25mg PO` names metoprolol.

Known names are looked up as whole words, the longest first; nothing is guessed, since a wrong drug
is worse than an unknown one. Strength, form, route and salt are words of no known name, and so
drop out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_TOKEN = re.compile(r"\d+(?:\.\d+)?%?|[^\W\d_][^\W_]*|[^\w\s]")

#: What says that the text is no order of the drug that it names: "Sterile diluent for Flolan",
#: "Donepezil 5 mg or placebo", "Vancomycin consult to pharmacy".
_NO_ORDER = frozenset({"consult", "diluent", "placebo", "study"})

#: The first words of names that right behind a drug are its salt: dexamethasone sodium phosphate.
_CATIONS = frozenset({"calcium", "magnesium", "potassium", "sodium", "zinc"})

#: What other drugs are dissolved in: a drug of its own only where nothing more is named.
_WATER = frozenset({"water"})
_FLUIDS = _WATER | {"glucose", "lactated ringer's", "sodium chloride"}


class Word(NamedTuple):
    """A word in lower case, and whether only a space stands between it and the word before."""

    text: str
    joined: bool


def words(text: str) -> list[Word]:
    """The words of a text, without punctuation; a number and its unit are two words."""
    found: list[Word] = []
    joined = True
    for token in _TOKEN.findall(
        text.lower().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    ):
        if token[0].isalnum():
            found.append(Word(token, joined))
            joined = True
        else:
            joined = False
    return found


def phrase(name: str) -> str:
    """A name as it is looked up: its words, one space apart."""
    return " ".join(word.text for word in words(name))


class Names:
    """Names and what they stand for: one drug, or several for `percocet`."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """Take pairs of a name or synonym and the drug that it is a name of."""
        known: dict[str, list[str]] = {}
        for name, drug in names:
            known.setdefault(phrase(name), []).append(drug)
        self._known: Mapping[str, tuple[str, ...]] = {
            name: tuple(dict.fromkeys(drugs)) for name, drugs in known.items() if name
        }
        self._longest = max((name.count(" ") + 1 for name in self._known), default=0)

    def exactly(self, text: str) -> tuple[str, ...]:
        """The drugs whose name the whole text is."""
        return self._known.get(phrase(text), ())

    def within(self, text: str) -> tuple[str, ...]:
        """The drugs that a text names, in its order, each once; none where it orders none."""
        spoken = words(text)
        if any(word.text in _NO_ORDER for word in spoken):
            return ()
        drugs: dict[str, None] = {}
        place, after_drug = 0, False
        while place < len(spoken):
            size = self._longest_at(spoken, place)
            if size and not _only_said(spoken, place, size, after_drug=after_drug):
                drugs.update(dict.fromkeys(self._known[_joined(spoken, place, size)]))
                after_drug = True
            else:
                after_drug = False
            place += size or 1
        return _ordered(drugs)

    def _longest_at(self, spoken: Sequence[Word], place: int) -> int:
        """The number of words of the longest known name that begins here; 0 where none does."""
        for size in range(min(self._longest, len(spoken) - place), 0, -1):
            if _joined(spoken, place, size) in self._known:
                return size
        return 0


def _ordered(drugs: Iterable[str]) -> tuple[str, ...]:
    """Without the fluid around a drug, and without `insulin` where it is said to be lispro."""
    named = list(drugs)
    for fluid in (_FLUIDS, _WATER):
        named = [drug for drug in named if drug not in fluid] or named
    return tuple(drug for drug in named if not any(other.startswith(f"{drug} ") for other in named))


def _joined(spoken: Sequence[Word], place: int, size: int) -> str:
    return " ".join(word.text for word in spoken[place : place + size])


def _only_said(spoken: Sequence[Word], place: int, size: int, *, after_drug: bool) -> bool:
    """Whether a name is the salt of the drug before it, or what the product is free of."""
    first = spoken[place]
    salt = first.text in _CATIONS and (
        (after_drug and first.joined) or (place > 0 and spoken[place - 1].text == "as")
    )
    free = place + size < len(spoken) and spoken[place + size].text == "free"
    return salt or free
