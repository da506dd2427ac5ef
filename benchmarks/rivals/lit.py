"""LitServe: PORT NETWORK."""

import sys
from typing import Any

import litserve
import numpy as np
from fastapi import UploadFile
from network import Network
from numpy.typing import NDArray


class Api(litserve.LitAPI):
    """The five hooks of a LitServe model."""

    def setup(self, device: str) -> None:
        """Load the network."""
        self.network = Network(sys.argv[2])

    def decode_request(self, request: UploadFile) -> NDArray[np.uint8]:
        """A picture (1, h, w)."""
        return self.network.decode(request.file.read())

    def predict(self, x: NDArray[np.uint8]) -> list[Any]:
        """The probabilities of one picture."""
        return self.network.probabilities(x[None])[0]

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """The answer."""
        return {"probabilities": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
