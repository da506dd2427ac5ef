"""A block of a Transformer's encoder (Vaswani et al. 2017), normalised first."""

from torch import Tensor, nn


class Block(nn.Module):
    """Attention over all rows, then a network of two layers, each added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mixing = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width)
        self.told = nn.Linear(width, width)
        self.mixing = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor) -> Tensor:
        """States (b, t, width)."""
        state = state + self.dropout(self._attended(self.before_attention(state)))
        mixed: Tensor = state + self.dropout(self.mixing(self.before_mixing(state)))
        return mixed

    def _attended(self, state: Tensor) -> Tensor:
        t, width = state.shape[1:]
        parts = self.asked(state).reshape(-1, t, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        told: Tensor = self.told(seen.transpose(1, 2).reshape(-1, t, width))
        return told
