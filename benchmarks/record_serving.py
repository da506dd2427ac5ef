"""How fast records are answered, against the same model called alone.

    python benchmarks/record_serving.py COHORT

Trains the trees of `recipes/aki.yaml`, and a GRU on a few hours of COHORT for one epoch: its speed,
not its merit, is asked. Records hold every hourly variable over 72 hours, half of them measured.
Each piece of work is timed in turn, round by round, on one thread; printed are medians in
milliseconds a record, and how they compare to the model alone, which is given its input.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import orjson
import yaml
from numpy.typing import NDArray

from polyclinic.core.prediction import ModelIdentity
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.models.network import NETWORK_FILE
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.record import gather, parse_record, read_record
from polyclinic.diagnosis.records.steps.prepare import make_features, prepare
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trust import fit_trust

RECIPE = Path(__file__).parents[1] / "recipes" / "aki.yaml"
HOURS = 72
ROUNDS = 30
GRU = {
    "model": {"name": "recurrent", "cell": "gru", "steps": HOURS, "width": 64},
    "train": {"epochs": 1, "batch_size": 256},
}

Alone = Callable[[NDArray[np.float32]], object]


def trees_alone(files: dict[str, bytes]) -> Alone:
    """LightGBM as its own package calls it."""
    texts = [text.decode() for name, text in files.items() if name.startswith("trees-")]
    boosters = [lightgbm.Booster(model_str=text) for text in texts]
    return lambda x: [booster.predict(x, num_threads=1) for booster in boosters]


def network_alone(files: dict[str, bytes]) -> Alone:
    """ONNX Runtime as its own package calls it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(files[NETWORK_FILE], options)
    (given,) = (each.name for each in session.get_inputs())
    return lambda x: session.run(None, {given: x})


def trained(cohort: Path, every: int, **changed: Any) -> tuple[RecordClassifier, dict[str, bytes]]:
    """The recipe's model, changed so, of every so many of the cohort's hours; and its files."""
    recipe = RecordRecipe.model_validate(yaml.safe_load(RECIPE.read_text()) | changed)
    checked = prepare(recipe, cohort, cohort)
    parts = {name: rows[::every] for name, rows in checked.parts.items()}
    prepared = make_features(recipe, checked.records, parts)
    model = fit_trust(recipe, prepared, train(recipe, prepared))
    name = ModelIdentity(name=recipe.name, version="", digest="")
    labels = prepared.dataset.labels
    return RecordClassifier.of_files(name, labels, model.spec, model.files), model.files


def sent(encoding: Encoding, rng: np.random.Generator) -> bytes:
    """One record as JSON, its values some way into their plausible range."""
    low, high = (np.nan_to_num(each, posinf=1.0, neginf=0.0) for each in encoding.plausible)
    values = low + (high - low) * rng.uniform(0.1, 0.5, (HOURS, len(low)))
    known = rng.random(values.shape) < 0.5
    series = {
        variable.name: [round(v, 2) if k else None for v, k in zip(*each, strict=True)]
        for variable, *each in zip(encoding.hourly, values.T.tolist(), known.T, strict=True)
    }
    fixed = {"age": 70, "sex": "Male", "height": 175, "weight": 80}
    return orjson.dumps(
        {"values": fixed, "series": {"hours": list(range(HOURS)), "values": series}}
    )


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Of each piece of work the median seconds, all done in turn."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = perf_counter()
            work()
            taken[name].append(perf_counter() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def measure(what: str, model: RecordClassifier, alone: Alone) -> None:
    """Print the rows of one model."""
    encoding = model.spec.encoding
    rng = np.random.default_rng(0)
    for batch in (1, 64):
        bodies = [sent(encoding, rng) for _ in range(batch)]
        records = [parse_record(orjson.loads(body)) for body in bodies]

        def features(records: list[Any] = records) -> NDArray[np.float32]:
            return encoding.encode(gather([read_record(each, encoding) for each in records]))

        x = features()
        seconds = medians(
            {
                "the model alone, given its input": lambda x=x: alone(x),
                "the model alone, and its input made": lambda: alone(features()),
                "answers": lambda records=records: model.predict(records),
                "answers with evidence": lambda records=records: model.predict(
                    records, explain=True
                ),
                "JSON read into records": lambda bodies=bodies: [
                    parse_record(orjson.loads(body)) for body in bodies
                ],
                "JSON read by orjson and NumPy alone": lambda bodies=bodies: [
                    np.array(list(orjson.loads(body)["series"]["values"].values()), np.float64)
                    for body in bodies
                ],
            }
        )
        first, made, answers, _, read, plain = seconds.values()
        for name, each in seconds.items():
            print(f"| {what} | {batch} | {name} | {1000 * each / batch:.3f} |")
        print(
            f"answers: {answers / first:.2f} times the model alone, {answers / made:.2f} times the "
            f"model and its input; from JSON {(answers + read) / (first + plain):.2f} times the "
            f"model and its JSON",
            flush=True,
        )


def main() -> None:
    """Train, and measure."""
    cohort = Path(sys.argv[1])
    model, files = trained(cohort, 40, **GRU)
    measure("GRU", model, network_alone(files))
    model, files = trained(cohort, 1)
    measure("LightGBM", model, trees_alone(files))


if __name__ == "__main__":
    main()
