"""A served image model: encoded pictures in, predictions out, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.errors import PolyclinicError
from polyclinic.core.model import Answer
from polyclinic.core.prediction import Coding, Explanation, ModelIdentity, Reweighting
from polyclinic.core.settings import settings
from polyclinic.diagnosis.answers import FAMILIARITY_FILE, Answering, Scores
from polyclinic.diagnosis.imaging import heatmap, rise
from polyclinic.diagnosis.imaging.gate import admit
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.imaging.spec import (
    KIND,
    NETWORK_FILE,
    WITHOUT_FILE,
    ImageSpec,
    batch_size,
)
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


@dataclass(frozen=True)
class ImageScores(Scores):
    """`Scores` of n pictures, with their class-activation maps (n, k, h, w)."""

    maps: NDArray[np.float32]


class ImageClassifier(Answering):
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
        super().__init__(identity, labels, spec, familiarity, reweighting, what="picture")
        self.spec = spec
        self._network = network
        self._without = without

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "ImageClassifier":
        """The model of a registered version (`load_version`)."""
        return load_version(registry, version, KIND, ImageSpec, cls.of_files)

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

    def score(self, pictures: NDArray[np.uint8]) -> ImageScores:
        """Scores of pictures (n, channels, size, size), not re-weighted."""
        outputs = self._network.run_all(pictures, batch_size(self.spec.size))
        scores = self.scores(outputs["logits"], outputs["features"])
        return ImageScores(**vars(scores), maps=outputs["maps"])

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
            told = [warnings[row] for row in pictures]
            scores = self.score(batch)
            by_row = partial(self._explanation, batch, scores.maps) if explain else None
            answers |= zip(pictures, self.predictions(scores, digests, by_row, told), strict=True)
        return [answers[row] for row in range(len(items))]

    def _explanation(
        self, pictures: NDArray[np.uint8], maps: NDArray[np.float32], row: int, label: int
    ) -> Explanation:
        heat = self.evidence(pictures[row], maps[row], label)
        return heatmap.explanation(pictures[row], heat, self.labels[label], self.spec.explanation)
