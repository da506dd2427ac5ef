"""Shift at a site, told from its pictures without labels."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, NotFound, PolyclinicError
from polyclinic.core.settings import settings
from polyclinic.diagnosis.answers import Scores
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.gate import admit
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.shift import SiteShift, needed_reference, site_shift
from polyclinic.learning.trust.label_shift import Method
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

BATCH = 256


def pictures_shift(
    registry: Registry, version: ModelVersion, paths: Sequence[Path], method: Method = "em"
) -> SiteShift:
    """How the pictures of a site, files or folders of them, differ from the model's held-out ones.

    A picture that the model does not read is left out, and named. Raises `InvalidInput` where fewer
    than two are left, `NotFound` where the version has no reference to compare with.
    """
    model = ImageClassifier.load(registry, version)
    reference = needed_reference(registry, version)
    refused: list[str] = []
    some_scores: list[Scores] = []
    files = _files(paths)
    while some := list(islice(files, BATCH)):
        pictures = list(_read(model, some, refused))
        if pictures:
            some_scores.append(model.score(np.stack(pictures)))
    found = sum(len(scores.logits) for scores in some_scores)
    if found < 2:
        raise InvalidInput(
            f"{found} pictures can be read, {len(refused)} cannot; two are needed at the least.",
            where=", ".join(map(str, paths)),
        )
    names = ("probabilities", "p_values", "sets", "features", "logits")
    scores = Scores(*(np.concatenate([getattr(s, name) for s in some_scores]) for name in names))
    return site_shift(
        model, model.spec, reference, scores, what="pictures", method=method, notes=refused
    )


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Every file, and every file in a folder that is not hidden."""
    for path in paths:
        if not path.exists():
            raise NotFound("There is no such picture or folder.", where=str(path))
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in inside if file.is_file() and not file.name.startswith("."))


def _read(
    model: ImageClassifier, files: Sequence[Path], refused: list[str]
) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        try:
            picture = open_picture(file.read_bytes(), settings().max_pixels)
            admit(picture, model.spec.size, model.spec.accepts)
            yield picture.fitted(model.spec.channels, model.spec.size)
        except PolyclinicError as error:
            refused.append(f"{file}: left out: {error.detail}")
