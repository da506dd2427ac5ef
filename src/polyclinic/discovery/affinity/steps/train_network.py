"""The two-encoder network: built, trained and exported. Imports torch."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.discovery.affinity.inputs.proteins import RESIDUES
from polyclinic.discovery.affinity.models.known import Known
from polyclinic.discovery.affinity.models.network import OUTPUT, Network, Scale
from polyclinic.discovery.affinity.recipe import NetworkSettings
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.trainer import train

#: This share of the pairs says when to stop.
HELD = 0.1


class TwoEncoders(nn.Module):
    """A drug's features and a protein's residues, each encoded, then both together.

    After DeepDTA (Ozturk et al. 2018, Bioinformatics 34:i821-i829), with a fingerprint for the
    drug. Inputs (n, f + length): features, then residues by number; the result is (n, 1).
    """

    def __init__(self, settings: NetworkSettings, features: int) -> None:
        super().__init__()
        self._features = features
        channels, width = settings.channels, settings.width
        self._letters = nn.Embedding(len(RESIDUES) + 2, 16, padding_idx=0)
        self._sequence = nn.Sequential(
            nn.Conv1d(16, channels, 8, stride=4),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(channels, 2 * channels, 8, padding=4),
            nn.ReLU(),
            nn.Conv1d(2 * channels, width, 4),
            nn.ReLU(),
        )
        self._drug = nn.Sequential(
            nn.Linear(features, width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self._both = nn.Sequential(
            nn.Linear(3 * width, 2 * width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(2 * width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    def drug(self, x: Tensor) -> Tensor:
        """Encoded drugs (n, w) from features (n, f)."""
        encoded: Tensor = self._drug(x)
        return encoded

    def protein(self, residues: Tensor) -> Tensor:
        """Encoded proteins (n, w) from residues by number (n, length)."""
        letters = self._letters(residues.long()).transpose(1, 2)
        encoded: Tensor = self._sequence(letters).amax(dim=2)
        return encoded

    def both(self, drug: Tensor, protein: Tensor) -> Tensor:
        """Affinities (n, 1), scaled."""
        found: Tensor = self._both(torch.cat([drug, protein, drug * protein], dim=1))
        return found

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Affinities (n, 1), scaled, of inputs (n, f + length)."""
        drug = self.drug(x[:, : self._features])
        return (self.both(drug, self.protein(x[:, self._features :])),)


class _Squared:
    """Mean squared error of scaled affinities; a protein of several pairs is encoded once."""

    def __init__(self, known: Known, scale: Scale, learnt: NDArray[np.int64]) -> None:
        held = np.setdiff1d(np.arange(len(known.affinity)), learnt)
        self.examples = len(learnt)
        self._drugs = torch.from_numpy(scale.drugs(known.library))
        self._proteins = torch.from_numpy(known.library.residues(scale.length))
        self._drug, self._protein = torch.from_numpy(known.drug), torch.from_numpy(known.protein)
        scaled = (known.affinity - scale.mean) / scale.spread
        self._y = torch.from_numpy(scaled.astype(np.float32))
        self._learnt, self._held = torch.from_numpy(learnt), torch.from_numpy(held)

    def loss(self, network: nn.Module, rows: Tensor, generator: torch.Generator) -> Tensor:
        """The mean over training pairs `rows` (b,)."""
        return self._of(network, self._learnt[rows])

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float:
        """The mean over held-out pairs."""
        parts = torch.tensor_split(self._held, max(1, len(self._held) // 4096))
        total = sum(self._of(network, part).item() * len(part) for part in parts)
        return total / len(self._held)

    def _of(self, network: nn.Module, rows: Tensor) -> Tensor:
        if not isinstance(network, TwoEncoders):
            raise TypeError("This is the loss of two encoders.")
        device = next(network.parameters()).device
        drugs, drug = torch.unique(self._drug[rows], return_inverse=True)
        proteins, protein = torch.unique(self._protein[rows], return_inverse=True)
        scored = network.both(
            network.drug(self._drugs[drugs].to(device))[drug.to(device)],
            network.protein(self._proteins[proteins].to(device))[protein.to(device)],
        )
        return functional.mse_loss(scored[:, 0].float(), self._y[rows].to(device))


def fit_network(
    settings: NetworkSettings,
    known: Known,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Network:
    """Of measured pairs; a tenth of them says which epoch was the best."""
    n = len(known.affinity)
    rng = np.random.default_rng(seed)
    learnt = np.sort(rng.permutation(n)[max(1, int(n * HELD)) :])
    x = np.sign(known.library.drug_x) * np.log1p(np.abs(known.library.drug_x))
    spread = x.std(axis=0)
    scale = Scale(
        x.mean(axis=0),
        np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
        float(known.affinity.mean()),
        max(float(known.affinity.std()), 1e-6),
        settings.length,
    )
    torch.manual_seed(seed)
    network = TwoEncoders(settings, x.shape[1])
    objective = _Squared(known, scale, learnt)
    trained = train(
        network, objective, settings.train, seed=seed, run="affinity", on_epoch=on_epoch
    )
    examples = scale.pairs(known.library, known.drug[:8], known.protein[:8])
    return Network.of(scale, export_onnx(trained.network, examples, [OUTPUT]))
