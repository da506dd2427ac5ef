"""What the documents show is what the program takes."""

import json
import re
from pathlib import Path

import yaml

from polyclinic.core.frozen import Frozen
from polyclinic.treatment.benefit.recipe import BenefitRecipe
from polyclinic.treatment.case import parse_case
from polyclinic.treatment.orders.recipe import OrdersRecipe
from polyclinic.treatment.safety.knowledge import COLUMNS
from polyclinic.treatment.scores.recipe import ScoresRecipe

TREATMENT = (Path(__file__).parents[1] / "docs" / "treatment.md").read_text()
RECIPES: dict[str, type[Frozen]] = {
    "treatment.orders": OrdersRecipe,
    "treatment.scores": ScoresRecipe,
    "treatment.benefit": BenefitRecipe,
}


def test_the_recipes_of_treatment_are_valid() -> None:
    found = [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", TREATMENT, re.DOTALL)
    ]
    assert {each["kind"] for each in found} == RECIPES.keys()
    for each in found:
        RECIPES[each["kind"]].model_validate(each)


def test_the_patient_of_treatment_is_read_without_a_remark() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", TREATMENT, re.DOTALL)
    chart = parse_case(json.loads(text)).chart
    assert chart is not None
    assert chart.warnings == ()


def test_the_columns_of_every_file_of_rules_are_told() -> None:
    for name, columns in COLUMNS.items():
        assert f"| `{name}.csv` | `{','.join(columns)}`" in TREATMENT
