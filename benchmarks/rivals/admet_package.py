"""The `admet-ai` package, asked in an environment of its own, one thread.

    PYTHON benchmarks/rivals/admet_package.py SMILES.txt OUT.json [--all]

A molecule a line. OUT.json: the versions, the seconds of imports and loading, of all molecules (and
the processor's) and of one alone (median of 5), the greatest memory (MB), and the answers. With
`--all` the physico-chemical columns and the percentiles too.
"""

import argparse
import json
import os
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"


def main() -> None:
    """Answer, and write what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("smiles", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true")
    asked = parser.parse_args()
    begun = perf_counter()
    from importlib.metadata import version
    from resource import RUSAGE_SELF, getrusage

    import torch
    from admet_ai import ADMETModel

    torch.set_num_threads(1)
    everything = {} if asked.all else {"include_physchem": False, "drugbank_path": None}
    model = ADMETModel(**everything)
    loaded = perf_counter()
    smiles = asked.smiles.read_text().split()
    model.predict(smiles[:2])
    alone = []
    for each in smiles[:5]:
        start = perf_counter()
        model.predict(each)
        alone.append(perf_counter() - start)
    start, busy = perf_counter(), process_time()
    told = model.predict(smiles)
    seconds, cpu_seconds = perf_counter() - start, process_time() - busy
    asked.out.write_text(
        json.dumps(
            {
                "versions": {
                    each: version(each) for each in ("admet-ai", "chemprop", "rdkit", "torch")
                },
                "start_s": loaded - begun,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "single_s": median(alone),
                "megabytes": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
                "smiles": list(told.index),
                "answers": {name: told[name].tolist() for name in told.columns},
            }
        )
    )


if __name__ == "__main__":
    main()
