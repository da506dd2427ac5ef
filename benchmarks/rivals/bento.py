"""BentoML, served by `bentoml serve bento:Diagnosis` with the network's path in NETWORK."""

import os

import bentoml
from network import Network
from PIL.Image import Image


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Diagnosis:
    """The network behind BentoML."""

    def __init__(self) -> None:
        self.network = Network(os.environ["NETWORK"])

    @bentoml.api
    def predict(self, file: Image) -> dict[str, list[float]]:
        """The probabilities of one picture."""
        return {"probabilities": self.network.probabilities(self.network.fit(file)[None])[0]}
