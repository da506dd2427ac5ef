"""From a Hugging Face folder to the files that serve its encoder."""

from pathlib import Path

import numpy as np
from tokenizers import BertWordPieceTokenizer, Tokenizer

from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.core.settings import settings
from polyclinic.diagnosis.records.notes.bert import BertConfig, read_bert
from polyclinic.diagnosis.records.notes.encoder import ENCODER_FILE, OUTPUT, TOKENIZER_FILE
from polyclinic.learning.prepare.catalogue import catalogue
from polyclinic.learning.serve.onnx_export import export_onnx

#: A sentence's tokens beyond these are not read, as all-MiniLM-L6-v2 was trained.
MAX_TOKENS = 256


def find_encoder(name: str, folder: Path) -> Path:
    """The folder of an encoder: an entry of the catalogue, or a path relative to `folder`.

    Raises `NotFound` where it is not there.
    """
    entry = catalogue().get(name)
    if entry is None:
        place, remedy = folder / name, "Name a folder, or `minilm`."
    else:
        place, remedy = entry.folder(settings().home), f"polyclinic data get {name}"
    if not place.is_dir():
        raise NotFound(f"The encoder {name} is not here.", where="features.encoder", remedy=remedy)
    return place


def export_encoder(folder: Path) -> dict[str, bytes]:
    """The encoder in `folder` as an ONNX model that was checked against it, and its tokenizer."""
    network, config = read_bert(folder)
    tokenizer = _tokenizer(folder, config)
    drawn = np.random.default_rng(0).integers(1, config.vocab_size, (4, 12))
    for row, length in enumerate((12, 3, 7, 1)):
        drawn[row, length:] = config.pad_token_id
    return {
        ENCODER_FILE: export_onnx(network, drawn, [OUTPUT], free=(0, 1)),
        TOKENIZER_FILE: tokenizer.to_str().encode(),
    }


def _tokenizer(folder: Path, config: BertConfig) -> Tokenizer:
    whole, words = folder / "tokenizer.json", folder / "vocab.txt"
    if whole.is_file():
        tokenizer = Tokenizer.from_file(str(whole))
    elif words.is_file():
        tokenizer = Tokenizer.from_str(BertWordPieceTokenizer(str(words)).to_str())
    else:
        raise InvalidInput("There is no tokenizer.json and no vocab.txt.", where=str(folder))
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise InvalidInput(
            "The tokenizer knows words that the network does not.", where=str(folder)
        )
    tokenizer.enable_truncation(min(MAX_TOKENS, config.max_position_embeddings))
    padding = tokenizer.id_to_token(config.pad_token_id)
    tokenizer.enable_padding(pad_id=config.pad_token_id, pad_token=padding)
    return tokenizer
