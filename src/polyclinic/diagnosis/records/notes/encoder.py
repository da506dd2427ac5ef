"""Embeddings of notes as they are served: ONNX Runtime and a tokenizer, no torch."""

from collections.abc import Mapping, Sequence

import numpy as np

from polyclinic.core.errors import IntegrityError, Unavailable
from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.notes.sentences import sentences
from polyclinic.learning.serve.onnx_network import OnnxNetwork

ENCODER_FILE, TOKENIZER_FILE = "encoder.onnx", "tokenizer.json"
OUTPUT = "sentence"
#: So many sentences at once.
BATCH = 32


class Encoder:
    """A sentence encoder. A note's embedding is the mean of its sentences'.

    Safe to call from one thread at a time.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise Unavailable(
                "tokenizers is not installed.", remedy="pip install 'polyclinic[notes]'"
            ) from None
        try:
            self._tokenizer = Tokenizer.from_str(files[TOKENIZER_FILE].decode())
        except Exception as error:  # noqa: BLE001  (the library raises bare exceptions)
            raise IntegrityError(f"The tokenizer cannot be used: {error}") from None
        self._network = OnnxNetwork(files[ENCODER_FILE], threads=1)
        if self._network.outputs != [OUTPUT]:
            raise IntegrityError(f"The encoder's outputs are {self._network.outputs}.")
        self.width = self.embed(["."]).shape[1]

    def embed(self, parts: Sequence[str]) -> Floats:
        """Embeddings (n, width) of n >= 1 sentences, each computed once."""
        distinct, place = np.unique(np.array(parts, np.object_), return_inverse=True)
        # Sentences of like length stand together, so that little is padding.
        order = np.argsort([len(each) for each in distinct], kind="stable")
        found: list[Floats] = []
        for start in range(0, len(order), BATCH):
            batch = [distinct[i] for i in order[start : start + BATCH]]
            tokens = np.array([each.ids for each in self._tokenizer.encode_batch(batch)], np.int64)
            found.append(self._network.run(tokens)[OUTPUT])
        embeddings = np.empty((len(distinct), found[0].shape[1]), np.float32)
        embeddings[order] = np.concatenate(found)
        return embeddings[place]

    def notes(self, texts: Sequence[Sequence[str]]) -> Floats:
        """Embeddings (n, t * width) of t notes of each of n records; NaN where a note is empty."""
        split = [[sentences(text)[0] for text in row] for row in texts]
        every = [part for row in split for parts in row for part in parts]
        t = len(split[0]) if split else 0
        result = np.full((len(split), t, self.width), np.nan, np.float32)
        if every:
            embeddings, at = self.embed(every), 0
            for i, row in enumerate(split):
                for j, parts in enumerate(row):
                    if parts:
                        result[i, j] = embeddings[at : at + len(parts)].mean(axis=0)
                    at += len(parts)
        return result.reshape(len(split), t * self.width)
