"""BERT (Devlin et al. 2019) as torch modules, with the weights of a Hugging Face folder.

BERT, MiniLM, BioBERT and ClinicalBERT are this network with other weights.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
#: What of a checkpoint has no part in a state of tokens.
_NOT_OURS = ("pooler.", "cls.", "embeddings.position_ids")


class BertConfig(Frozen, extra="ignore"):
    """What of `config.json` decides the network."""

    model_type: str = Field(pattern="^bert$")
    hidden_act: str = Field(pattern="^gelu$")
    vocab_size: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    max_position_embeddings: int = Field(ge=8)
    type_vocab_size: int = Field(default=2, ge=1)
    layer_norm_eps: float = Field(default=1e-12, gt=0.0)
    pad_token_id: int = 0
    position_embedding_type: str = Field(default="absolute", pattern="^absolute$")


class SentenceEncoder(nn.Module):
    """Embeddings (n, width) of sentences' tokens (n, t), filled up with the padding token.

    The mean of the last layer's states over the tokens that are no padding, of length 1: Reimers
    and Gurevych 2019, section 3, as the card of all-MiniLM-L6-v2 says.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.padding = config.pad_token_id
        self.word = nn.Embedding(config.vocab_size, width)
        self.place = nn.Embedding(config.max_position_embeddings, width)
        self.kind = nn.Embedding(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, tokens: Tensor) -> tuple[Tensor]:
        """The embeddings, alone in a tuple."""
        seen = tokens != self.padding
        places = torch.arange(tokens.shape[1], device=tokens.device)
        state = self.norm(self.word(tokens) + self.place(places) + self.kind.weight[0])
        hidden = torch.where(seen, 0.0, -1e9)[:, None, None, :]
        for layer in self.layers:
            state = layer(state, hidden)
        counted = seen.unsqueeze(2).to(state.dtype)
        mean = (state * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1.0)
        return (nn.functional.normalize(mean, dim=1),)


class _Layer(nn.Module):
    """Attention over all tokens, then a network of two layers, each added and normalised after."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.told = nn.Linear(width, width)
        self.told_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.inner = nn.Linear(width, config.intermediate_size)
        self.outer = nn.Linear(config.intermediate_size, width)
        self.outer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, state: Tensor, hidden: Tensor) -> Tensor:
        """States (n, t, width); `hidden` (n, 1, 1, t) is far below 0 where a token is padding."""
        n, t, width = state.shape

        def by_head(values: Tensor) -> Tensor:
            return values.reshape(n, t, self.heads, width // self.heads).transpose(1, 2)

        query, key, value = (by_head(each(state)) for each in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5 + hidden
        attended = (scores.softmax(dim=3) @ value).transpose(1, 2).reshape(n, t, width)
        state = self.told_norm(state + self.told(attended))
        mixed: Tensor = self.outer(nn.functional.gelu(self.inner(state)))
        normed: Tensor = self.outer_norm(state + mixed)
        return normed


def read_bert(folder: Path) -> tuple[SentenceEncoder, BertConfig]:
    """The network in a folder with `config.json` and `model.safetensors`.

    Raises `InvalidInput` where it is of another kind, or weights are missing or do not fit.
    """
    try:
        content = json.loads((folder / CONFIG_FILE).read_bytes())
        config = BertConfig.model_validate(content)
        weights = safetensors.torch.load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, ValidationError, safetensors.SafetensorError) as error:
        raise InvalidInput(
            f"There is no BERT that can be read: {str(error).splitlines()[0]}",
            where=str(folder),
            remedy=f"Give a folder with {CONFIG_FILE} (model_type bert) and {WEIGHTS_FILE}.",
        ) from None
    if config.hidden_size % config.num_attention_heads:
        raise InvalidInput("The width is no multiple of the heads.", where=str(folder))
    network = SentenceEncoder(config)
    try:
        network.load_state_dict(_renamed(weights))
    except RuntimeError as error:
        raise InvalidInput(
            f"The weights are not those of {CONFIG_FILE}: {error}", where=str(folder)
        ) from None
    return network.float().eval(), config


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under this module's names."""
    names = {
        "embeddings.word_embeddings.": "word.",
        "embeddings.position_embeddings.": "place.",
        "embeddings.token_type_embeddings.": "kind.",
        "embeddings.LayerNorm.": "norm.",
        "encoder.layer.": "layers.",
        "attention.self.": "",
        "attention.output.dense.": "told.",
        "attention.output.LayerNorm.": "told_norm.",
        "intermediate.dense.": "inner.",
        "output.dense.": "outer.",
        "output.LayerNorm.": "outer_norm.",
        # As the first releases of BERT called them.
        "norm.gamma": "norm.weight",
        "norm.beta": "norm.bias",
    }
    found = {}
    for stored, weight in weights.items():
        ours = stored.removeprefix("bert.")
        if ours.startswith(_NOT_OURS):
            continue
        for old, new in names.items():
            ours = ours.replace(old, new)
        found[ours] = weight
    return found
