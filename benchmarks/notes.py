"""Words of the eICU demo: which diagnoses stand under the heart and the vessels.

    python benchmarks/notes.py ENCODER EICU_FOLDER

A note is a diagnosis, chosen from a tree of words; the label is whether the tree's first word,
left out of the note, is `cardiovascular`. Five folds by the second word, so that no branch is in
two: logistic regression over the mean of sentence embeddings, over a bag of words (TF-IDF), and the
prevalence; the predictions of all folds scored together, intervals by bootstrap over branches. The
strength of the penalty is the best within the training folds. Sentences a second are of one thread.
The question is about words, not patients: figures prove plumbing, not merit.
"""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline

from polyclinic.diagnosis.records.notes.encoder import Encoder
from polyclinic.diagnosis.records.notes.export import export_encoder
from polyclinic.diagnosis.records.notes.sentences import sentences
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import auc, auprc, mean
from polyclinic.learning.prepare.splits import split

FOLDS = {str(fold): 0.2 for fold in range(5)}


def read_notes(folder: Path) -> pl.DataFrame:
    """Every distinct diagnosis, without the organ system it was chosen under."""
    return (
        pl.read_csv(folder / "diagnosis.csv.gz", infer_schema=False)
        .select(part=pl.col("diagnosisstring").str.splitn("|", 2))
        .unnest("part")
        .drop_nulls()
        .select(
            note=pl.col("field_1").str.replace_all(r"\|", "\n"),
            heart=(pl.col("field_0") == "cardiovascular").cast(pl.Int64),
        )
        .unique("note", maintain_order=True)
        .with_columns(branch=pl.col("note").str.split("\n").list.first())
    )


def main(encoder_folder: Path, folder: Path) -> None:
    """Print the figures of every model."""
    table = read_notes(folder)
    y, branch, notes = (table[name].to_numpy() for name in ("heart", "branch", "note"))
    encoder = Encoder(export_encoder(encoder_folder))
    cut = [part for note in notes for part in sentences(note)[0]]
    began = perf_counter()
    embeddings = encoder.notes([(note,) for note in notes])
    spent = perf_counter() - began
    distinct = len(set(cut))
    print(
        f"{len(y)} notes, {y.sum()} of the heart; {len(cut)} sentences, {distinct} distinct: "
        f"{spent:.1f} s, {distinct / spent:.0f} sentences/s, {len(y) / spent:.0f} notes/s"
    )
    regression = LogisticRegressionCV(
        Cs=[0.01, 0.1, 1, 10, 100], scoring="neg_log_loss", max_iter=2000
    )
    words = make_pipeline(TfidfVectorizer(min_df=3, ngram_range=(1, 2)), regression)
    models = {
        "sentence embeddings, logistic": (regression, embeddings),
        "bag of words, logistic": (words, notes),
        "prevalence": (DummyClassifier(), embeddings),
    }
    parts = split(y, FOLDS, branch.astype(np.str_), 0)
    scores = {name: np.zeros(len(y)) for name in models}
    for held_out in parts.values():
        learnt = np.setdiff1d(np.arange(len(y)), held_out)
        for name, (model, x) in models.items():
            fitted = model.fit(x[learnt], y[learnt])
            scores[name][held_out] = fitted.predict_proba(x[held_out])[:, 1]
    for name, p in scores.items():
        both = np.column_stack([1 - p, p])
        losses = -np.where(y == 1, np.log(p), np.log1p(-p))
        found = bootstrap(
            lambda weights, both=both, losses=losses: {
                "AUROC": auc(both, y, weights),
                "AUPRC": auprc(both, y, weights),
                "log loss": mean(losses, weights),
            },
            branch,
            1000,
        )
        told = "  ".join(
            f"{k} {v.value:.3f} ({v.low:.3f} to {v.high:.3f})" for k, v in found.items()
        )
        print(f"{name:32}{told}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
