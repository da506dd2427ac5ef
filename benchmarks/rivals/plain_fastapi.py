"""Plain FastAPI, the least that answers: PORT NETWORK."""

import sys

import uvicorn
from fastapi import FastAPI, UploadFile
from network import Network

network = Network(sys.argv[2])
app = FastAPI()


@app.post("/predict")
async def predict(file: UploadFile) -> dict[str, list[float]]:
    """The probabilities of one picture; a model this quick needs no thread of its own."""
    picture = network.decode(await file.read())
    return {"probabilities": network.probabilities(picture[None])[0]}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False)
