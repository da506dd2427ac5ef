"""A served model of records: records in, predictions out, without torch or scikit-learn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import safetensors.numpy

from polyclinic.clinical.chart import Chart
from polyclinic.core.errors import PolyclinicError
from polyclinic.core.model import Answer
from polyclinic.core.prediction import Coding, Explanation, ModelIdentity, Reweighting
from polyclinic.diagnosis.answers import FAMILIARITY_FILE, Answering, Scores
from polyclinic.diagnosis.records.chart import read_chart
from polyclinic.diagnosis.records.evidence import evidence, explanation
from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.models import RecordModel, load_model
from polyclinic.diagnosis.records.models.linear import Doubles
from polyclinic.diagnosis.records.notes.encoder import Encoder
from polyclinic.diagnosis.records.notes.said import Said, said
from polyclinic.diagnosis.records.record import Read, Record, gather, read_record
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.spec import KIND, RecordSpec
from polyclinic.diagnosis.records.usual import USUAL_FILE, UsualSpace
from polyclinic.learning.trust.familiarity import FamiliarityModel
from polyclinic.registry.loading import load_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: A record in which a smaller share of the model's variables is known says so.
FEW = 0.1


class RecordClassifier(Answering):
    """A model version of kind `diagnosis.record`, ready to answer."""

    def __init__(
        self,
        identity: ModelIdentity,
        labels: tuple[Coding, ...],
        spec: RecordSpec,
        model: RecordModel,
        usual: UsualSpace,
        familiarity: FamiliarityModel,
        reweighting: Reweighting | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__(identity, labels, spec, familiarity, reweighting, what="record")
        self.spec = spec
        self._model = model
        self._usual = usual
        self._encoder = encoder

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "RecordClassifier":
        """The model of a registered version (`load_version`)."""
        return load_version(registry, version, KIND, RecordSpec, cls.of_files)

    @classmethod
    def of_files(
        cls,
        identity: ModelIdentity,
        labels: tuple[Coding, ...],
        spec: RecordSpec,
        files: Mapping[str, bytes],
        reweighting: Reweighting | None = None,
    ) -> "RecordClassifier":
        """The model of files that are known to be whole."""
        features = len(spec.encoding.features)
        return cls(
            identity,
            labels,
            spec,
            load_model(files, features, len(labels), exclusive=not spec.multi_label),
            UsualSpace.from_arrays(safetensors.numpy.load(files[USUAL_FILE]), features),
            FamiliarityModel.from_arrays(safetensors.numpy.load(files[FAMILIARITY_FILE])),
            reweighting,
            Encoder(files) if spec.encoding.notes else None,
        )

    def score(self, x: Floats) -> Scores:
        """Scores of features (n, d), not re-weighted."""
        return self.scores(self._model.logits(x), self._usual.place(x))

    def log_odds(self, x: Floats, label: int) -> Doubles:
        """The log-odds of a label (n,) against all others, before calibration."""
        logits = self._model.logits(x)
        if self.spec.multi_label:
            return logits[:, label]
        others = np.delete(logits, label, axis=1)
        return np.asarray(logits[:, label] - np.logaddexp.reduce(others, axis=1))

    def contributions(self, x: Floats, label: int) -> Doubles:
        """What each piece of evidence (`Encoding.groups`) adds to a label's log-odds (n, g)."""
        columns = [group.columns for group in self.spec.encoding.groups]
        return self._model.contributions(x, label, columns)

    def embedded(self, records: Records) -> Records:
        """Records with embeddings of their texts, where the model reads any."""
        return records.embedded(self._encoder)

    def predict(self, items: Sequence[Record | Chart], *, explain: bool = False) -> list[Answer]:
        """One answer a record, in order; a record that cannot be read fails alone."""
        answers: dict[int, Answer] = {}
        read: dict[int, Read] = {}
        for row, item in enumerate(items):
            try:
                read[row] = self._read(item)
            except PolyclinicError as error:
                answers[row] = error
        if read:
            inputs = gather(list(read.values()))
            if self._encoder is not None:
                texts = [each.texts for each in read.values()]
                inputs = replace(inputs, notes=self._encoder.notes(texts))
            x = self.spec.encoding.encode(inputs)
            digests = [items[row].digest for row in read]
            by_row = partial(self._explanation, x, list(read.values())) if explain else None
            told = [each.warnings for each in read.values()]
            answers |= zip(
                read, self.predictions(self.score(x), digests, by_row, told), strict=True
            )
        return [answers[row] for row in range(len(items))]

    def _read(self, item: Record | Chart) -> Read:
        encoding = self.spec.encoding
        if isinstance(item, Chart):
            read = read_chart(item, encoding, self.labels)
        else:
            read = read_record(item, encoding)
        known, all_of_them = read.known, len(encoding.names)
        if known < FEW * all_of_them:
            few = f"Of the {all_of_them} variables that the model reads {known} are known."
            return replace(read, warnings=(few, *read.warnings))
        return read

    def _explanation(self, x: Floats, read: Sequence[Read], row: int, label: int) -> Explanation:
        contributions = self.contributions(x[row : row + 1], label)[0]
        sentences = self._said(x[row], read[row].texts, label)
        found = evidence(self.spec.encoding, x[row], contributions, sentences)
        return explanation(found, self.labels[label], self._model.method)

    def _said(self, x: Floats, texts: Sequence[str], label: int) -> list[Said]:
        if self._encoder is None:
            return []
        encoding = self.spec.encoding
        columns = {group.feature.variable: group.columns for group in encoding.groups}
        notes = [
            (note.name, text, columns[note.name])
            for note, text in zip(encoding.notes, texts, strict=True)
        ]
        return list(said(self._encoder, notes, x, lambda changed: self.log_odds(changed, label)))
