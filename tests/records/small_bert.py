"""A BERT of two layers with a vocabulary of its own, as a Hugging Face folder."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ","]
TOLD = ["the", "mass", "lump", "has", "had", "growing", "fast", "stable", "soft", "so"]
DULL = ["no", "fever", "cough", "wound", "clean", "dry", "eats", "sleeps", "well", "today"]
WORDS = [*SPECIAL, *TOLD, *DULL]
WIDTH, INNER, LAYERS = 32, 64, 2


def write_bert(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "vocab_size": len(WORDS),
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": 64,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    shapes = {
        "word_embeddings.weight": (len(WORDS), WIDTH),
        "position_embeddings.weight": (64, WIDTH),
        "token_type_embeddings.weight": (2, WIDTH),
    }
    weights = {f"embeddings.{name}": rng.normal(0, 0.5, shape) for name, shape in shapes.items()}
    linear = {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (INNER, WIDTH),
        "output.dense": (WIDTH, INNER),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        place = f"encoder.layer.{layer}"
        norms += [f"{place}.attention.output.LayerNorm", f"{place}.output.LayerNorm"]
        for name, shape in linear.items():
            weights[f"{place}.{name}.weight"] = rng.normal(0, 0.2, shape)
            weights[f"{place}.{name}.bias"] = rng.normal(0, 0.1, shape[0])
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ones(WIDTH), np.zeros(WIDTH)
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()},
        folder / "model.safetensors",
    )
    return folder
