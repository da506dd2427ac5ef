"""Why: what of a record speaks for a finding and what against, ranked."""

import base64
from collections.abc import Sequence
from typing import Literal

import numpy as np

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Explanation
from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.groups import Group
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.models.linear import Doubles
from polyclinic.diagnosis.records.notes.said import Said

MEDIA_TYPE = "application/json"
#: So many pieces of evidence are told; of the rest the sum.
TOLD = 20


class Piece(Frozen):
    """One piece of evidence.

    name: in words, with statistic, window and unit. value: as the model saw it, of a series the
    latest of its window; None where it is unknown, which can be evidence too. window: the time that
    it sums up. text: of a note the sentence. contribution: what it adds to the log-odds of the
    finding before calibration.
    """

    name: str
    variable: str
    statistic: str
    value: float | None
    unit: str
    window: str
    text: str | None = None
    direction: Literal["for", "against"]
    contribution: float


class Evidence(Frozen):
    """The pieces by falling weight, and the sum of those that are not told."""

    pieces: tuple[Piece, ...]
    rest: float


def evidence(
    encoding: Encoding, x: Floats, contributions: Doubles, sentences: Sequence[Said] = ()
) -> Evidence:
    """The evidence in features (d,), given what each of the encoding's groups adds (g,).

    A note's sentences stand in place of its embedding.
    """
    every = (*encoding.fixed, *encoding.hourly, *encoding.notes)
    titles = {each.name: each.title for each in every}
    spoken = {each.variable for each in sentences}
    pieces = [
        _piece(group, titles, x, float(added))
        for group, added in zip(encoding.groups, contributions, strict=True)
        if added != 0 and group.feature.variable not in spoken
    ]
    pieces += [_sentence(each, titles) for each in sentences if each.contribution != 0]
    pieces.sort(key=lambda piece: -abs(piece.contribution))
    told, left = pieces[:TOLD], pieces[TOLD:]
    return Evidence(pieces=tuple(told), rest=sum(piece.contribution for piece in left))


def explanation(found: Evidence, finding: Coding, method: str) -> Explanation:
    """Evidence as an explanation: JSON, in base64."""
    content = found.model_dump_json().encode()
    return Explanation(
        method=method,
        finding=finding,
        media_type=MEDIA_TYPE,
        content=base64.b64encode(content).decode(),
    )


def _piece(group: Group, titles: dict[str, str], x: Floats, contribution: float) -> Piece:
    feature = group.feature
    title = titles.get(feature.variable, feature.variable)
    known = x[group.columns][np.isfinite(x[group.columns])]
    return Piece(
        name=group.named(title),
        variable=feature.variable,
        statistic=feature.statistic,
        value=float(known[0]) if known.size else None,
        unit=feature.unit,
        window=group.window,
        direction="for" if contribution > 0 else "against",
        contribution=contribution,
    )


def _sentence(said: Said, titles: dict[str, str]) -> Piece:
    return Piece(
        name=f"{titles[said.variable]}, sentence",
        variable=said.variable,
        statistic="sentence",
        value=None,
        unit="",
        window="",
        text=said.text,
        direction="for" if said.contribution > 0 else "against",
        contribution=said.contribution,
    )
