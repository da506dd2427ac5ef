"""From a note to its sentences."""

import re
from itertools import pairwise

#: What lies beyond is not read, and a warning says so.
MAX_CHARACTERS = 50_000
MAX_SENTENCES = 256

#: A line ends a sentence, and so does a stop before white space and what can begin one.
_END = re.compile(r"\n+|(?<=[.!?])[\"')\]]?\s+(?=[\"'(\[]?[A-Z0-9])")
#: A stop after these, or after a single letter, ends nothing.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|dr|mr|mrs|ms|prof|st|vs|no|nr|approx|ca|cf|fig|hx|dx|tx|pt|pts"
    r"|e\.g|i\.e|etc|resp|temp|dept|max|min|mg|ml|tab|caps|inj|b\.i\.d|t\.i\.d|q\.d|p\.o|i\.v)\.$",
    re.IGNORECASE,
)


def sentences(text: str) -> tuple[list[str], bool]:
    """The sentences of a note in order, without white space around them; and whether that is all.

    At most `MAX_SENTENCES`, of the first `MAX_CHARACTERS`.
    """
    read = text[:MAX_CHARACTERS]
    ends = [match for match in _END.finditer(read) if not _goes_on(read, match)]
    bounds = [0, *(match.end() for match in ends), len(read)]
    found = [part for start, end in pairwise(bounds) if (part := read[start:end].strip())]
    whole = len(text) <= MAX_CHARACTERS and len(found) <= MAX_SENTENCES
    return found[:MAX_SENTENCES], whole


def _goes_on(text: str, match: re.Match[str]) -> bool:
    if "\n" in match.group():
        return False
    before = text[max(0, match.start() - 16) : match.start()]
    return _ABBREVIATION.search(before) is not None
