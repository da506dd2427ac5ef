"""The quality gate for records, as `polyclinic data check` passes them through it."""

from pathlib import Path
from typing import Any

from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.records.checks import CHECKS
from polyclinic.diagnosis.records.checks.files import FILES, check_files, rows_in_order
from polyclinic.diagnosis.records.parting import parted
from polyclinic.diagnosis.records.recipe import HourlyData, RecordRecipe
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.prepare import check
from polyclinic.learning.prepare.issues import QualityIssue
from polyclinic.learning.prepare.quality import QualityReport
from polyclinic.learning.recipe import parse_recipe

#: Where labels are by the stay and no recipe says when they are asked, all of the first week is
#: read.
WEEK_H = 168
_LABEL = "urn:polyclinic:label"


def is_stays(path: Path) -> bool:
    """Whether a path is a folder of stays by the hour."""
    return all((path / f"{name}.parquet").is_file() for name in FILES)


def recipe_of_stays(path: Path) -> RecordRecipe:
    """A recipe for a folder of stays of which nobody has told what their label means."""
    import polars as pl

    no, yes = (
        Coding(system=_LABEL, code=code, display=code).model_dump() for code in ("false", "true")
    )
    by_hour = "time" in pl.read_parquet_schema(path / "outc.parquet")
    content: dict[str, Any] = {
        "name": "stays",
        "kind": "diagnosis.record",
        "licence": "not stated",
        "data": {
            "layout": "hourly",
            "name": path.name or "stays",
            "labels": [no | {"finding": False}, yes],
            "decision_hour": None if by_hour else WEEK_H,
        },
        "model": {"name": "prevalence"},
        "card": {"title": "stays"},
    }
    return parse_recipe(content, RecordRecipe, str(path))


def judge(path: Path, recipe: RecordRecipe) -> QualityReport:
    """Every issue of the records at `path`, rows counted from 0 in their own file.

    Where the files of a folder do not fit together their values cannot be read, and only that is
    told. Raises `NotFound` or `InvalidInput` for what is no such data.
    """
    stays = isinstance(recipe.data, HourlyData)
    of_files = tuple(check_files(path)) if stays else ()
    if any(issue.severity == "error" for issue in of_files):
        return QualityReport(issues=of_files, checks=(check_files.__name__,))
    records = read_records(path, recipe.data)
    report = check(recipe, records, parted(records, recipe.seed))
    places = {name: rows_in_order(path, name) for name in FILES[:2]} if stays else {}

    def placed(issue: QualityIssue) -> QualityIssue:
        rows = places.get(issue.part)
        if rows is None:
            return issue
        return issue.model_copy(update={"rows": tuple(sorted(rows[list(issue.rows)].tolist()))})

    return QualityReport(
        issues=(*of_files, *(placed(issue) for issue in report.issues)),
        checks=(check_files.__name__, *CHECKS, *report.checks),
    )
