"""Defects of patient records, planted one at a time: does `polyclinic data check` name them.

    python benchmarks/planted_defects.py ICU CANCER [SEED]

ICU is the folder of hourly cohorts, CANCER scikit-learn's `breast_cancer.csv`. Each defect is
planted at random into a copy of a real cohort or of the table, and the check is made as the command
makes it. A defect is found where an issue that the clean data does not have names its column; the
share of its rows that are named is told, and so is every other new issue.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from defects import DEFECTS, TABLE, Frames, Spoilt

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.gate import judge, recipe_of_stays
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.learning.prepare.issues import QualityIssue

RECIPES = Path(__file__).parents[1] / "recipes"


def main() -> None:
    """Print a row for each defect."""
    icu, cancer = Path(sys.argv[1]), Path(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    clean: dict[str, tuple[Frames, list[QualityIssue]]] = {}
    print("| defect | data | found as | its rows named | other issues | refused |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = others = 0
    for index, defect in enumerate(DEFECTS):
        if defect.data not in clean:
            frames = read(icu, cancer, defect.data)
            clean[defect.data] = frames, issues_of(frames)
        frames, known = clean[defect.data]
        spoilt = dict(frames)
        place = defect.plant(spoilt, np.random.default_rng([seed, index]))
        cells, is_found, other = told(issues_of(spoilt), known, place)
        found, others = found + is_found, others + len(other)
        print(f"| {defect.what} | {defect.data} | {' | '.join(cells)} |", flush=True)
    print(f"\n{found} of {len(DEFECTS)} found; {others} other issues")


def told(
    issues: list[QualityIssue], known: list[QualityIssue], place: Spoilt
) -> tuple[list[str], bool, list[str]]:
    """What is said of a planted defect, whether it is found, and what else is new."""
    part, columns, rows = place
    before = {(each.check, each.where): set(each.rows) for each in known}
    kinds: dict[str, None] = {}
    other: list[str] = []
    named: set[int] = set()
    for each in issues:
        new = set(each.rows) - before.get((each.check, each.where), set())
        if (each.check, each.where) in before and not new:
            continue
        mine = each.where in columns and (not rows or bool(new & rows))
        # Two columns are named together where they stand in each other's place.
        mine = mine or (each.part == part and bool(new) and rows and new <= rows)
        if mine:
            kinds[each.check] = None
            named |= new
        else:
            other.append(f"{each.check} {each.where}")
    share = f"{len(named & rows)} of {len(rows)}" if rows else "all" if kinds else "none"
    extra = len(named - rows) if rows else 0
    refused = any(each.severity == "error" for each in issues)
    cells = [
        ", ".join(kinds) or "**not found**",
        share + (f", {extra} more" if extra else ""),
        ", ".join(other) or "none",
        "yes" if refused else "no",
    ]
    return cells, bool(kinds), other


def read(icu: Path, cancer: Path, data: str) -> Frames:
    """The clean data."""
    if data == TABLE:
        table = pl.read_csv(cancer, has_header=False, skip_rows=1, new_columns=names())
        return {"table": table}
    folder = icu / data / "eicu_demo"
    return {name: pl.read_parquet(folder / f"{name}.parquet") for name in ("dyn", "sta", "outc")}


def table_recipe() -> RecordRecipe:
    """The recipe of the table, written with a header here."""
    content = yaml.safe_load((RECIPES / "breast-cytology.yaml").read_text())
    content["data"]["header"] = True
    return RecordRecipe.model_validate(content)


def names() -> list[str]:
    """The table's columns."""
    return [column.name for column in table_recipe().data.columns]  # type: ignore[union-attr]


def issues_of(frames: Frames) -> list[QualityIssue]:
    """What the check says of data, written to files."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        if "table" in frames:
            frames["table"].write_csv(folder / "table.csv")
            report = judge(folder / "table.csv", table_recipe())
        else:
            for name, table in frames.items():
                table.write_parquet(folder / f"{name}.parquet")
            try:
                report = judge(folder, recipe_of_stays(folder))
            except InvalidInput as error:
                print(f"not read: {error.detail}", file=sys.stderr)
                return []
        return [each for each in report.issues if each.part not in ("train", "validation", "test")]


if __name__ == "__main__":
    main()
