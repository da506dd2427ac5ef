"""One model of a table and one of stays, each trained once, for all tests of records."""

import pytest
from patient_records import STAYS_RECIPE, TABLE_RECIPE, lumps, write_stays
from trained_records import TrainedRecords, trained


@pytest.fixture(scope="session")
def table_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedRecords:
    home = tmp_path_factory.mktemp("home")
    lumps().write_csv(home / "lumps.csv")
    return trained(home, TABLE_RECIPE, home / "lumps.csv")


@pytest.fixture(scope="session")
def stays_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedRecords:
    home = tmp_path_factory.mktemp("home")
    return trained(home, STAYS_RECIPE, write_stays(home / "stays"))
