"""Recommendations: how fast one patient is answered through HTTP, and nothing vetoed among them.

    python benchmarks/treatment_serving.py [EXPORT] [--json]

The starter model `orders`, in a department process of its own, is asked of one patient again and
again by one caller: plain JSON of a dozen facts, and with EXPORT (the cohort of
`recipes/orders.yaml`) as a Bundle of all that the cohort has of the patient in the middle by size.
With EXPORT also: every patient of the cohort is recommended for, and each treatment, and each pair
of the treatment set, is held against what the rules say.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from polyclinic.clinical.chart import Chart
from polyclinic.core.settings import Settings
from polyclinic.engine.processes import free_port
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.case import Case
from polyclinic.treatment.models import load_model
from polyclinic.treatment.rules import open_rules

SAMPLE = Path(__file__).parents[1] / "src/polyclinic/starters/diabetes.json"
REQUESTS = 300


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, nargs="?")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["POLYCLINIC_HOME"] = home
        registry = open_registry(Settings())
        install_starters(registry)
        bodies = {"plain": SAMPLE.read_bytes()}
        if asked.export is not None:
            bodies["bundle"] = middle(asked.export)
        found: dict[str, Any] = served(bodies)
        if asked.export is not None:
            found |= cohort(asked.export, registry)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


def served(bodies: dict[str, bytes]) -> dict[str, Any]:
    """The p50 and p99 of each kind of request, in ms."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "polyclinic", "serve", "treatment", "--port", str(port)],
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        while not answers(f"{base}/readyz"):
            time.sleep(0.05)
        found = {}
        for name, body in bodies.items():
            for path in ("recommend", "recommend?explain=true", "check"):
                took = [timed(f"{base}/v1/treatment/{path}", body) for _ in range(REQUESTS)]
                p50, p99 = np.percentile(took, [50, 99])
                found[f"{path}, {name} ({len(body):,} bytes)"] = {
                    "p50_ms": round(float(p50), 2),
                    "p99_ms": round(float(p99), 2),
                }
        return found
    finally:
        process.terminate()
        process.wait()


def timed(url: str, body: bytes) -> float:
    """The milliseconds of one request."""
    question = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    start = time.perf_counter()
    with urllib.request.urlopen(question) as answer:
        answer.read()
    return (time.perf_counter() - start) * 1000


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def middle(export: Path) -> bytes:
    """The Bundle of the patient with the median number of entries in the export."""
    own: dict[str, list[Any]] = {}
    for path in sorted(export.rglob("*.ndjson")):
        for line in path.read_text().splitlines():
            resource = json.loads(line)
            subject = resource.get("subject") or resource.get("patient") or {}
            whose = subject.get("reference", "").removeprefix("Patient/")
            if resource["resourceType"] == "Patient":
                whose = resource["id"]
            own.setdefault(whose, []).append(resource)
    own.pop("", None)
    whole = sorted(own.values(), key=len)[len(own) // 2]
    entries = [{"resource": each} for each in whole]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return json.dumps({"bundle": bundle, "at": "2025-01-01T00:00:00Z"}).encode()


def cohort(export: Path, registry: Any) -> dict[str, Any]:
    """Every patient of the cohort: what is recommended against what the rules veto."""
    from datetime import UTC, datetime

    import polars as pl

    from polyclinic.clinical.fhir import read_ndjson
    from polyclinic.clinical.timeline import Timeline

    rules = open_rules(Settings())
    model = load_model(registry, registry.resolve("orders"), rules)
    timeline = read_ndjson(export).timeline
    at = datetime(2025, 1, 1, tzinfo=UTC)
    events = timeline.events.partition_by("patient", as_dict=True)
    counts = {"patients": 0, "answered": 0, "recommended": 0, "vetoed": 0, "pairs": 0}
    wrong = {"vetoed_among_recommended": 0, "vetoed_pairs_of_the_set": 0}
    start = time.perf_counter()
    for patient in timeline.patients["patient"].to_list():
        counts["patients"] += 1
        if (patient,) not in events:
            continue
        whole = Timeline(events[(patient,)], timeline.patients.filter(pl.col("patient") == patient))
        chart = Chart(whole, at, (), "")
        (found,) = model.predict([Case(chart, (), {}, "")])
        if not isinstance(found, Recommendation):
            continue
        against = rules.against(rules.facts(chart)).vetoed()
        names = [each.coding.display for each in found.treatments]
        inside = [each.coding.display for each in found.treatments if each.in_set]
        pairs = [(one, other) for one in inside for other in inside if one < other]
        counts["answered"] += 1
        counts["recommended"] += len(names)
        counts["vetoed"] += len(found.vetoed)
        counts["pairs"] += len(pairs)
        wrong["vetoed_among_recommended"] += len(against & set(names))
        wrong["vetoed_pairs_of_the_set"] += sum(
            any(each.action == "veto" for each in rules.together(*pair)) for pair in pairs
        )
    took = (time.perf_counter() - start) * 1000 / counts["patients"]
    return {"cohort": {**counts, **wrong, "ms_a_patient": round(took, 1)}}


if __name__ == "__main__":
    main()
