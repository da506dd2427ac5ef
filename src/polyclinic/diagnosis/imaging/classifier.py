"""A served image model: encoded pictures in, predictions out, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput, PolyclinicError
from polyclinic.core.model import Answer
from polyclinic.core.prediction import (
    Coding,
    ConformalSet,
    Familiarity,
    Finding,
    ModelIdentity,
    Prediction,
    Provenance,
    Reweighting,
)
from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging import heatmap, rise
from polyclinic.diagnosis.imaging.gate import admit
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.imaging.site import Site
from polyclinic.diagnosis.imaging.spec import (
    FAMILIARITY_FILE,
    KIND,
    NETWORK_FILE,
    WITHOUT_FILE,
    ImageSpec,
    batch_size,
)
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


@dataclass(frozen=True)
class Scores:
    """What the model says of n pictures, as arrays.

    probabilities: (n, k), calibrated. p_values: (n,), familiarity. sets: (n, k) bool, conformal.
    features: (n, d), what familiarity and shift are judged by. maps: (n, k, h, w), class-activation
    maps.
    """

    probabilities: NDArray[np.float64]
    p_values: NDArray[np.float64]
    sets: NDArray[np.bool_]
    features: NDArray[np.float32]
    maps: NDArray[np.float32]


class ImageClassifier:
    """A model version of kind `diagnosis.image`, ready to answer."""

    def __init__(
        self,
        identity: ModelIdentity,
        labels: tuple[Coding, ...],
        spec: ImageSpec,
        network: OnnxNetwork,
        familiarity: FamiliarityModel,
        without: NDArray[np.uint8] | None,
        reweighting: Reweighting | None = None,
    ) -> None:
        self.identity = identity
        self.labels = labels
        self.spec = spec
        self._network = network
        self._familiarity = familiarity
        self._without = without
        self._site = None if reweighting is None else Site(reweighting, labels)
        self._findings = [
            (index, label, spec.deciding(label.code))
            for index, label in enumerate(labels)
            if label.code in spec.findings
        ]

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "ImageClassifier":
        """The model of a registered version, every file verified, as its site has it re-weighted.

        Raises `InvalidInput` where the version is of another kind, `IntegrityError` where a file
        is not what the manifest says.
        """
        manifest = version.manifest
        if manifest.kind != KIND:
            raise InvalidInput(
                f"This model is of kind {manifest.kind}, not {KIND}.", where=manifest.name
            )
        files = registry.load(version)
        try:
            spec = ImageSpec.model_validate(manifest.spec)
            return cls.of_files(
                version.identity, manifest.labels, spec, files, registry.reweighting(version)
            )
        except (ValidationError, KeyError, safetensors.SafetensorError) as error:
            raise IntegrityError(
                f"The model is not one that this release reads: {error}", where=manifest.name
            ) from None

    @classmethod
    def of_files(
        cls,
        identity: ModelIdentity,
        labels: tuple[Coding, ...],
        spec: ImageSpec,
        files: Mapping[str, bytes],
        reweighting: Reweighting | None = None,
    ) -> "ImageClassifier":
        """The model of files that are known to be whole."""
        familiarity = safetensors.numpy.load(files[FAMILIARITY_FILE])
        without = None
        if spec.explanation == "masking":
            without = safetensors.numpy.load(files[WITHOUT_FILE])["without"]
        return cls(
            identity,
            labels,
            spec,
            OnnxNetwork(files[NETWORK_FILE], settings().inference_threads),
            FamiliarityModel.from_arrays(familiarity),
            without,
            reweighting,
        )

    @property
    def reweighting(self) -> Reweighting | None:
        """To what its probabilities are re-weighted, if they are."""
        return None if self._site is None else self._site.reweighting

    def score(self, pictures: NDArray[np.uint8]) -> Scores:
        """Scores of pictures (n, channels, size, size), not re-weighted."""
        outputs = self._network.run_all(pictures, batch_size(self.spec.size))
        probabilities = self.spec.calibration.apply(outputs["logits"])
        return Scores(
            probabilities,
            self._familiarity.p_values(outputs["features"]),
            self.spec.conformal.sets(probabilities),
            outputs["features"],
            outputs["maps"],
        )

    def abstained(self, scores: Scores) -> NDArray[np.bool_]:
        """Where the model abstains (n,): unfamiliar pictures, and sets that leave a choice.

        With labels that exclude each other a set must hold exactly one.
        """
        unfamiliar = scores.p_values <= self.spec.familiarity_alpha
        if self.spec.multi_label:
            return unfamiliar
        undecided: NDArray[np.bool_] = scores.sets.sum(axis=1) != 1
        return undecided | unfamiliar

    def evidence(
        self, picture: NDArray[np.uint8], maps: NDArray[np.float32], label: int
    ) -> NDArray[np.floating]:
        """What in a picture (c, h, w) speaks for a label and what against: (h', w') of any size.

        maps: (k, h, w), the picture's class-activation maps.
        """
        if self._without is None:
            return heatmap.evidence(maps, label)

        def log_odds(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
            outputs = self._network.run_all(pictures, batch_size(self.spec.size))
            logits = outputs["logits"].astype(np.float64)
            if self.spec.multi_label:
                return np.asarray(logits[:, label])
            others = np.logaddexp.reduce(np.delete(logits, label, axis=1), axis=1)
            return np.asarray(logits[:, label] - others)

        return rise.evidence(log_odds, picture, self._without[label])

    def predict(self, items: Sequence[bytes], *, explain: bool = False) -> list[Answer]:
        """One answer a picture file, in order; a picture that cannot be read fails alone."""
        answers: dict[int, Answer] = {}
        pictures: dict[int, NDArray[np.uint8]] = {}
        warnings: dict[int, tuple[str, ...]] = {}
        for row, item in enumerate(items):
            try:
                picture = open_picture(item, settings().max_pixels)
                warnings[row] = admit(picture, self.spec.size, self.spec.accepts)
                pictures[row] = picture.fitted(self.spec.channels, self.spec.size)
            except PolyclinicError as error:
                answers[row] = error
        if pictures:
            batch = np.stack(list(pictures.values()))
            digests = [sha256(items[row]) for row in pictures]
            predictions = self.predictions(batch, self.score(batch), digests, explain=explain)
            for row, prediction in zip(pictures, predictions, strict=True):
                answers[row] = prediction.model_copy(update={"warnings": warnings[row]})
        return [answers[row] for row in range(len(items))]

    def predictions(
        self,
        pictures: NDArray[np.uint8],
        scores: Scores,
        digests: Sequence[str],
        *,
        explain: bool = False,
    ) -> list[Prediction]:
        """The scores of pictures (n, c, h, w), with their inputs' digests, as predictions."""
        now = datetime.now(UTC)
        probabilities = scores.probabilities
        if self._site is not None:
            probabilities = self._site.reweighted(probabilities)
        each_probability, sets = probabilities.tolist(), scores.sets.tolist()
        p_values = scores.p_values.tolist()
        answers = []
        for row, digest in enumerate(digests):
            findings = self._ranked(each_probability[row])
            familiarity = Familiarity(p_value=p_values[row], alpha=self.spec.familiarity_alpha)
            labels = tuple(
                label for label, inside in zip(self.labels, sets[row], strict=True) if inside
            )
            explanation = None
            if explain:
                first = findings[0].coding
                heat = self.evidence(pictures[row], scores.maps[row], self.labels.index(first))
                explanation = heatmap.explanation(pictures[row], heat, first, self.spec.explanation)
            answers.append(
                Prediction(
                    findings=findings,
                    conformal_set=ConformalSet(
                        method=self.spec.conformal.method,
                        coverage=self.spec.conformal.coverage,
                        labels=labels,
                    ),
                    familiarity=familiarity,
                    abstained=self._abstention(familiarity, labels),
                    reweighting=self.reweighting,
                    explanation=explanation,
                    provenance=Provenance(model=self.identity, input_digest=digest, time=now),
                )
            )
        return answers

    def _ranked(self, probabilities: list[Any]) -> tuple[Finding, ...]:
        findings = []
        for index, label, point in self._findings:
            threshold = point.threshold if self._site is None else self._site.threshold(point)
            findings.append(
                Finding(
                    coding=label,
                    probability=probabilities[index],
                    present=probabilities[index] >= threshold,
                    operating_point=point.name,
                    threshold=threshold,
                )
            )
        return tuple(sorted(findings, key=lambda finding: -finding.probability))

    def _abstention(self, familiarity: Familiarity, labels: tuple[Coding, ...]) -> str | None:
        if not familiarity.familiar:
            return "The picture is unlike those that the model was made from."
        if self.spec.multi_label:
            return None
        if not labels:
            return "No label is likely enough."
        if len(labels) > 1:
            return f"{len(labels)} labels are too close to tell apart at this coverage."
        return None
