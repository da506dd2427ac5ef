"""The ten best of 2,000 treatments for 100,000 patients, against `implicit`, and safety's cost.

    python benchmarks/top_treatments.py [EXPORT] [--threads N] [--json]

Factors are random, 64 of each; both sides in turn, five rounds, medians. `implicit` is asked by
`AlternatingLeastSquares.recommend`, without filtering, in one call. With EXPORT (the cohort of
`recipes/orders.yaml`) its patients' facts are repeated until there are 100,000, the safety rules
say of each what they veto, and the ten best are looked for among what is left: `safety` has what
that adds, facts being at hand; `facts` is what it takes to have them from a timeline.
"""

import argparse
import json
import os
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

PATIENTS, TREATMENTS, FACTORS, K, ROUNDS = 100_000, 2_000, 64, 10, 5


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    # Each side shares the work out itself.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    found = measure(asked.threads)
    if asked.export is not None:
        found |= safety(asked.export, asked.threads)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


def drawn() -> tuple[Any, Any]:
    """Factors of patients and treatments."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(PATIENTS, FACTORS)).astype(np.float32),
        rng.normal(size=(TREATMENTS, FACTORS)).astype(np.float32),
    )


def measure(threads: int) -> dict[str, Any]:
    """Both sides' seconds, and their ratio."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    from polyclinic.learning.recommend.top import top

    users, items = drawn()
    peer = AlternatingLeastSquares(factors=FACTORS, num_threads=threads)
    peer.user_factors, peer.item_factors = users, items
    nobody = csr_matrix((PATIENTS, TREATMENTS))
    everyone = np.arange(PATIENTS)
    ours, theirs, ids = [], [], None
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            start = perf_counter()
            ids, _ = top(users, items, K, threads=threads)
            middle = perf_counter()
            other, _ = peer.recommend(everyone, nobody, N=K, filter_already_liked_items=False)
            theirs.append(perf_counter() - middle)
            ours.append(middle - start)
    agree = float((ids == other).mean())
    return {
        "threads": threads,
        "seconds": round(median(ours), 3),
        "implicit_seconds": round(median(theirs), 3),
        "ratio": round(median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
        "same answers": round(agree, 5),
    }


def safety(export: Path, threads: int) -> dict[str, Any]:
    """What the rules add."""
    from datetime import UTC, datetime

    from polyclinic.clinical.fhir import read_ndjson
    from polyclinic.core.settings import Settings
    from polyclinic.learning.recommend.top import top
    from polyclinic.treatment.patient import patient_facts
    from polyclinic.treatment.rules import open_rules

    rules = open_rules(Settings())
    timeline = read_ndjson(export).timeline
    at = datetime(2025, 1, 1, tzinfo=UTC)
    patients = timeline.patients["patient"].to_list()[:500]
    start = perf_counter()
    facts = [patient_facts(timeline, each, at, rules.formulary) for each in patients]
    of_facts = (perf_counter() - start) / len(patients)
    drugs = list(rules.formulary.drugs)
    place = {drug: number for number, drug in enumerate(drugs)}

    def screened(rows: slice) -> Any:
        mask = np.zeros((rows.stop - rows.start, TREATMENTS), bool)
        for row in range(rows.start, rows.stop):
            against = rules.against(facts[row % len(facts)])
            mask[row - rows.start, [place[drug] for drug in against.vetoed()]] = True
        return mask

    users, items = drawn()
    start = perf_counter()
    top(users, items, K, threads=threads)
    plain = perf_counter() - start
    start = perf_counter()
    ids, _ = top(users, items, K, excluded=screened, threads=1)
    safe = perf_counter() - start
    mask = screened(slice(0, len(facts)))
    chosen = np.take_along_axis(mask, ids[: len(facts)], axis=1)
    return {
        "seconds_with_safety": round(safe, 2),
        "safety_ms_a_patient": round((safe - plain) / PATIENTS * 1000, 4),
        "facts_ms_a_patient": round(of_facts * 1000, 3),
        "vetoes_a_patient": round(float(mask.sum(axis=1).mean()), 1),
        "vetoed among the recommended": int(chosen.sum()),
    }


if __name__ == "__main__":
    main()
