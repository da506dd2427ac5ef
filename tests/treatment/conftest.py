from pathlib import Path

import pytest
from wards import write_export

from polyclinic.core.settings import Settings
from polyclinic.treatment.orders.recipe import OrdersData
from polyclinic.treatment.orders.steps.prepare import Prepared, prepare
from polyclinic.treatment.rules import Rules, open_rules


@pytest.fixture(scope="session")
def rules() -> Rules:
    return open_rules(Settings(home=Path("nowhere")))


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("wards"))


@pytest.fixture(scope="session")
def prepared(export: Path, rules: Rules) -> Prepared:
    return prepare(OrdersData(name="wards"), export, rules.formulary, seed=0, memory=4)
