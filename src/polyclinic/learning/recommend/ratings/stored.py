"""Models that are nothing but arrays, so that they rest as safetensors and are never pickled."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.recommend.ratings.scores import Arrays


@dataclass(frozen=True)
class Stored:
    """The base of a data class of which every field is an array."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by its field's name, as `safetensors.numpy.save` takes them."""
        return {f.name: np.asarray(getattr(self, f.name), order="C") for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The model that `arrays` came from. Raises `InvalidInput` where one is missing."""
        names = [f.name for f in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InvalidInput(f"A stored model lacks {', '.join(missing)}.", where=missing[0])
        return cls(**{name: arrays[name] for name in names})
