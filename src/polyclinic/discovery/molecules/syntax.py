"""What is wrong with a SMILES, in words that a chemist can act on."""

import re

_TOKEN = re.compile(
    r"\[[^\[\]]*\]|Cl|Br|[BCNOPSFI]|[bcnops]|\*|[-=#$:/\\.~]|[()]|%\(\d{1,5}\)|%\d\d|\d"
)


def fault(smiles: str) -> str | None:
    """The first fault of its grammar, with its place from 1 on; None where there is none."""
    opened: list[int] = []
    rings: dict[str, int] = {}
    place = 0
    while place < len(smiles):
        token = _TOKEN.match(smiles, place)
        if token is None:
            return _unknown(smiles, place)
        text = token.group()
        if text == "(":
            opened.append(place)
        elif text == ")":
            if not opened:
                return f"The parenthesis at character {place + 1} was never opened."
            opened.pop()
        elif text[-1].isdigit() or text.startswith("%"):
            ring = text.strip("%()").lstrip("0") or "0"
            if rings.pop(ring, None) is None:
                rings[ring] = place
        place = token.end()
    if opened:
        return f"The parenthesis at character {opened[-1] + 1} is never closed."
    if rings:
        ring, place = next(iter(rings.items()))
        return f"Ring {ring}, opened at character {place + 1}, is never closed."
    return None


def _unknown(smiles: str, place: int) -> str:
    character = smiles[place]
    if character == "[":
        return f"The bracket at character {place + 1} is never closed."
    if character == "]":
        return f"The bracket at character {place + 1} was never opened."
    return f"{character!r}, character {place + 1}, has no meaning in SMILES."
