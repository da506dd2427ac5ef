"""Surprise, one fit a line: FILE, then on standard input `NAME FOLD`, answered by a line of JSON.

FILE is MovieLens-100k as tab-separated text under a line of names; folds are those of
`KFold(n_splits=5, random_state=0)`. An answer has the fit's seconds, the RMSE on the fold's test
part, and a checksum of that part, by which the other side knows that it has the same.
It imports nothing of Polyclinic, for it runs in an environment of its own.
"""

import json
import sys
import zlib
from functools import partial
from time import perf_counter

from surprise import SVD, Dataset, KNNBaseline, Reader, SVDpp, accuracy
from surprise.model_selection import KFold

# Everything that is not named is as Surprise has it: 100 factors and 20 epochs for SVD, 20 factors
# and 20 epochs for SVD++, 40 neighbours. `cache_ratings` costs memory and spares time.
ALGORITHMS = {
    "svd": partial(SVD, random_state=0),
    "svdpp": partial(SVDpp, n_factors=100, random_state=0, cache_ratings=True),
    "svdpp_20": partial(SVDpp, random_state=0, cache_ratings=True),
    "knn": partial(KNNBaseline, verbose=False),
    "knn_users": partial(KNNBaseline, verbose=False, sim_options={"name": "pearson_baseline"}),
    "knn_items": partial(
        KNNBaseline,
        verbose=False,
        sim_options={"name": "pearson_baseline", "user_based": False},
    ),
}


def main(path: str) -> None:
    """Answer until standard input ends."""
    reader = Reader(line_format="user item rating timestamp", sep="\t", skip_lines=1)
    folds = list(KFold(n_splits=5, random_state=0).split(Dataset.load_from_file(path, reader)))
    for line in sys.stdin:
        name, fold = line.split()
        trained, held_out = folds[int(fold)]
        algorithm = ALGORITHMS[name]()
        began = perf_counter()
        algorithm.fit(trained)
        seconds = perf_counter() - began
        rmse = float(accuracy.rmse(algorithm.test(held_out), verbose=False))
        part = "".join(f"{user} {item} {rating:g}\n" for user, item, rating in held_out)
        print(
            json.dumps({"seconds": seconds, "rmse": rmse, "part": zlib.crc32(part.encode())}),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
