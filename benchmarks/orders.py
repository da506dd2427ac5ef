"""Recommendations from past orders against each other and the dull baselines.

    python benchmarks/orders.py mimic FOLDER [--json]        leave one patient out, MIMIC-III demo
    python benchmarks/orders.py simulated EXPORT [--json]    the test part of the simulated cohort
    python benchmarks/orders.py coverage EXPORT [--json]     the treatment set over 200 re-splits
    python benchmarks/orders.py new EXPORT [--json]          treatments that training never saw

Every model learns from the training persons alone, its line and its cut from a fifth of the
other persons. What a vocabulary lacks counts as missed. `last_visit_set` recommends what was
ordered at the visit before, no more and no less. The simulated cohort is that of
`recipes/orders.yaml`: its figures prove plumbing, not merit. `simulated` looks at the test part.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np

from polyclinic.core.settings import Settings
from polyclinic.learning.evaluate.metrics import auc
from polyclinic.learning.trust.risk_control import covered, fit_risk_control
from polyclinic.treatment.orders.encoding import learn_vocabulary
from polyclinic.treatment.orders.evaluation import by_person, estimates, figures, history_of
from polyclinic.treatment.orders.models.settings import TreesSettings, TwoTowerSettings
from polyclinic.treatment.orders.recipe import CANDIDATES, OrdersData
from polyclinic.treatment.orders.steps.prepare import Prepared, _of, prepare, read_export
from polyclinic.treatment.orders.steps.train import content, train, usual
from polyclinic.treatment.orders.steps.trust import best_cut
from polyclinic.treatment.orders.steps.weigh import blend, log_odds
from polyclinic.treatment.rules import Rules, open_rules

#: A treatment that fewer training persons of MIMIC's have is not in the vocabulary.
LEAST = 3
RESPLITS = 200


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("mimic", "simulated", "coverage", "new"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rules = open_rules(Settings())
    parts = {"mimic": mimic, "simulated": simulated, "coverage": coverage, "new": new}
    found = parts[asked.part](asked.folder, rules)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, own in found.items():
        told = own if not isinstance(own, dict) else ", ".join(f"{k} {v}" for k, v in own.items())
        print(f"{name}: {told}")


def scored(prepared: Prepared, seed: int, interacting: np.ndarray) -> dict[str, dict[str, Any]]:
    """Each model's figures of every test visit, and those of the last visit's set."""
    test, start = prepared.part("test"), usual(prepared.part("train"))
    models = {
        each.name: log_odds(train(each, prepared, seed).scorer, start, prepared.part("choose"))
        for each in CANDIDATES
    }
    served = [model for name, model in models.items() if name != "nearest_neighbour"]
    models["blend"] = blend(served, prepared.part("choose"))[0]
    truth, rows = test.ordered[test.asked], test.asked
    ordered = prepared.visits.orders["row"].value_counts().sort("row")
    every = np.zeros(len(prepared.visits), np.int64)
    every[ordered["row"].to_numpy()] = ordered["count"].to_numpy()
    unknown = every[rows] - truth.sum(axis=1)
    pad = int(unknown.max(initial=0))
    missed = np.arange(pad) < unknown[:, None]
    whole = np.hstack([truth, missed])
    pairs = np.zeros((whole.shape[1],) * 2, bool)
    pairs[: len(interacting), : len(interacting)] = interacting

    def told(logits: np.ndarray, cut: float) -> dict[str, Any]:
        return figures(np.hstack([logits, np.full((len(rows), pad), -1e9)]), cut, whole, pairs)

    found = {
        name: told(model.logits(test), best_cut(model, prepared)) for name, model in models.items()
    }
    last = test.x[rows][:, prepared.vocabulary.of_last]
    found["last_visit_set"] = told(last + 1e-6 * models["popularity"].logits(test), 0.5)
    return found


def summed(
    values: dict[str, dict[str, Any]], person: np.ndarray, history: np.ndarray
) -> dict[str, Any]:
    """Means with intervals over persons: of all visits, first ones, and repeat ones."""
    groups = {"all": np.ones(len(person), bool)}
    groups |= {name: history == name for name in np.unique(history).tolist()}
    return {
        f"{name}, {group} ({int(chosen.sum())})": {
            figure: f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
            for figure, each in estimates(
                {key: value[chosen] for key, value in own.items()}, person[chosen]
            ).items()
        }
        for group, chosen in groups.items()
        for name, own in values.items()
    }


def mimic(folder: Path, rules: Rules) -> dict[str, Any]:
    """Each patient in turn is the test part; the vocabulary, too, is learnt without them."""
    visits, _ = read_export(folder, OrdersData(name="mimic", export="mimic"), rules.formulary)
    atc = {name: drug.atc for name, drug in rules.formulary.drugs.items()}
    persons = np.unique(visits.person)
    values: dict[str, dict[str, list[np.ndarray]]] = {}
    whose, history = [], []
    for number, held in enumerate(persons.tolist()):
        others = np.random.default_rng(number).permutation(persons[persons != held])
        choosing = set(others[: len(others) // 5].tolist())
        part = np.array(
            ["test" if p == held else "choose" if p in choosing else "train" for p in visits.person]
        )
        rows = {name: np.flatnonzero(part == name) for name in ("train", "choose", "test")}
        vocabulary = learn_vocabulary(_of(visits, rows["train"]), atc, LEAST)
        prepared = Prepared(visits, vocabulary, vocabulary.encode(visits), rows, "", (), {})
        interacting = rules.interacting([each.drug for each in vocabulary.treatments])
        for name, own in scored(prepared, 0, interacting).items():
            for figure, each in own.items():
                values.setdefault(name, {}).setdefault(figure, []).append(each)
        whose.append(visits.person[rows["test"]])
        history.append(history_of(visits, rows["test"]))
        print(f"\r{number + 1} of {len(persons)} patients", end="", file=sys.stderr)
    joined = {
        name: {figure: np.concatenate(each) for figure, each in own.items()}
        for name, own in values.items()
    }
    return summed(joined, np.concatenate(whose), np.concatenate(history))


def simulated(folder: Path, rules: Rules) -> dict[str, Any]:
    """The test part, with every model of the recipe."""
    prepared = prepare(OrdersData(name="simulated"), folder, rules.formulary, 0, 8)
    interacting = rules.interacting([each.drug for each in prepared.vocabulary.treatments])
    values = scored(prepared, 0, interacting)
    return summed(
        values, prepared.person("test"), history_of(prepared.visits, prepared.rows["test"])
    )


def coverage(folder: Path, rules: Rules) -> dict[str, Any]:
    """Persons who trained nothing are halved anew each time: one half calibrates the other."""
    prepared = prepare(OrdersData(name="simulated"), folder, rules.formulary, 0, 8)
    scorer = train(TreesSettings(name="trees"), prepared, 0).scorer
    model = log_odds(scorer, usual(prepared.part("train")), prepared.part("choose"))
    rows = np.concatenate([prepared.rows["calibrate"], prepared.rows["test"]])
    pool = prepared.encoded.take(rows)
    logits, truth, person = (
        model.logits(pool),
        pool.ordered[pool.asked],
        prepared.visits.person[rows],
    )
    names, found = np.unique(person), {}
    for promised in (0.8, 0.9, 0.95):
        reached = []
        for split in range(RESPLITS):
            half = np.random.default_rng(split).permutation(names)[: len(names) // 2]
            fits = np.isin(person, half)
            sets = fit_risk_control(logits[fits], truth[fits], person[fits], promised)
            held = covered(sets.sets(logits[~fits]), truth[~fits])
            reached.append(by_person(held, person[~fits]).value)
        found[f"promised {promised:.0%}"] = {
            "mean coverage": round(float(np.mean(reached)), 4),
            "standard deviation": round(float(np.std(reached)), 4),
        }
    return found


def new(folder: Path, rules: Rules) -> dict[str, Any]:
    """A fifth of the treatments by lot, five times, is hidden from the two towers in training.

    Of each hidden one the AUC of who is ordered it on the test part, scored by its ATC codes alone,
    is told as the mean over treatments; chance is 0.5.
    """
    import torch

    from polyclinic.learning.prepare.dataset import Part
    from polyclinic.learning.train.classification import Classification
    from polyclinic.learning.train.settings import TrainSettings
    from polyclinic.learning.train.trainer import train as minimise
    from polyclinic.treatment.orders.networks.towers import TwoTowers, as_tensor

    prepared = prepare(OrdersData(name="simulated"), folder, rules.formulary, 0, 8)
    vocabulary, settings = prepared.vocabulary, TwoTowerSettings(name="two_tower")
    what = content(vocabulary, {})
    odds = usual(prepared.part("train"))
    how = TrainSettings(epochs=20, learning_rate=1e-3, weight_decay=0.01, patience=5)
    lots = np.random.default_rng(0).permutation(vocabulary.m) % 5
    areas: dict[str, float] = {}
    for lot in range(5):
        seen, hidden = np.flatnonzero(lots != lot), np.flatnonzero(lots == lot)
        data = {}
        for name in ("train", "choose"):
            part = prepared.part(name)
            x = part.x[part.asked].copy()
            for columns in (vocabulary.of_taken, vocabulary.of_last):
                x[:, columns][:, hidden] = 0
            data[name] = Part(x, part.ordered[part.asked][:, seen])
        torch.manual_seed(lot)
        network = TwoTowers(
            settings, vocabulary.width, as_tensor(what[seen]), as_tensor(odds[seen])
        )
        objective = Classification(data["train"], data["choose"], len(seen), how, lambda x: x)
        trained = minimise(network, objective, how, seed=lot, run="").network
        trained.content = as_tensor(what[hidden])
        trained.usual = torch.nn.Parameter(torch.zeros(len(hidden)))
        part = prepared.part("test")
        x = part.x[part.asked].copy()
        for columns in (vocabulary.of_taken, vocabulary.of_last):
            x[:, columns][:, hidden] = 0
        with torch.no_grad():
            scores = torch.sigmoid(trained.eval()(torch.from_numpy(x))).numpy().astype(float)
        truth = part.ordered[part.asked][:, hidden]
        for column, place in enumerate(hidden.tolist()):
            y = truth[:, column].astype(np.int64)
            if 0 < y.sum() < len(y):
                p = scores[:, column]
                areas[vocabulary.treatments[place].drug] = float(
                    auc(np.column_stack([1 - p, p]), y)
                )
    values = np.array(list(areas.values()))
    best = sorted(areas, key=lambda name: -areas[name])
    return {
        "treatments": len(values),
        "mean AUC": round(float(values.mean()), 3),
        "quartiles": [round(q, 3) for q in np.quantile(values, [0.25, 0.5, 0.75]).tolist()],
        "best": {name: round(areas[name], 3) for name in best[:5]},
        "worst": {name: round(areas[name], 3) for name in best[-5:]},
    }


if __name__ == "__main__":
    main()
