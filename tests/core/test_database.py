"""The database: both kinds, their migrations, and what they say when they are broken."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from polyclinic.core.errors import Conflict, InvalidInput, Unavailable
from polyclinic.core.storage.database import (
    Base,
    alembic_config,
    migrate,
    open_database,
    revisions,
    writing,
)
from polyclinic.registry.tables import OpeningRow


def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_database(database_url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_every_migration_goes_down_and_up_again(database_url: str) -> None:
    from alembic import command

    engine = open_database(database_url)
    migrate(engine)
    with writing(engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert sa.inspect(engine).has_table("model_version")


def test_the_newest_revision_by_file_name_is_alembics_head(tmp_path: Path) -> None:
    from alembic.script import ScriptDirectory

    with open_database(f"sqlite:///{tmp_path / 'a.db'}").connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    assert script.get_heads() == [revisions()[-1]]


def test_a_database_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(open_database(url))
    code = (
        "import sys; from polyclinic.core.storage.database import *;"
        f"migrate(open_database({url!r})); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_database_from_the_future_is_left_alone(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="9999"):
        migrate(engine)


def test_sqlite_keeps_what_it_acknowledged_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'deep' / 'er' / 'a.db'}")
    with engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_a_writer_that_fails_leaves_nothing(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine)
    row = {"dataset_digest": "a", "model_digest": "b", "time": datetime.now(UTC), "by": "c"}
    twice = sa.insert(OpeningRow).values([row, {**row, "by": "d"}, row])
    with pytest.raises(sa.exc.IntegrityError), writing(engine) as connection:
        connection.execute(twice)
    with engine.connect() as connection:
        assert connection.execute(sa.select(OpeningRow.by)).all() == []


def test_a_moment_comes_back_as_the_same_moment_in_utc(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine)
    time = datetime(2026, 7, 1, 23, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
    row = {"dataset_digest": "a", "model_digest": "b", "time": time, "by": "c"}
    with engine.begin() as connection:
        connection.execute(sa.insert(OpeningRow).values(row))
        back = connection.scalars(sa.select(OpeningRow.time)).one()
    assert back == time
    assert back.utcoffset() == timedelta(0)


def test_an_unreachable_database_is_named_without_its_password() -> None:
    engine = open_database("postgresql://someone:s3cret@127.0.0.1:1/clinic")
    with pytest.raises(Unavailable) as error:
        migrate(engine)
    assert error.value.where == "postgresql://127.0.0.1:1/clinic"
    assert "s3cret" not in str(error.value.problem())


def test_a_database_that_is_not_there_is_named(postgres_server: str) -> None:
    engine = open_database(postgres_server.format(name="missing"))
    with pytest.raises(Unavailable, match="missing") as error:
        migrate(engine)
    assert str(error.value.where).endswith("/missing")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(Unavailable, match="not a database") as error:
        migrate(open_database(f"sqlite:///{path}"))
    assert str(path) in str(error.value.where)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="folder") as error:
        open_database(f"sqlite:///{tmp_path / 'file' / 'below' / 'a.db'}")
    assert "file/below" in str(error.value.where)


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:s3cret@h/d", "postgresql://h:port/d"])
def test_a_url_of_no_known_database_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as error:
        open_database(url)
    assert "s3cret" not in str(error.value.problem())


def test_a_mistake_of_ours_is_not_called_an_outage(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine)
    row = {"dataset_digest": "a", "model_digest": "b", "time": datetime.now(UTC), "by": "c"}
    with engine.begin() as connection:
        connection.execute(sa.insert(OpeningRow).values(row))
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(OpeningRow).values(row))


@pytest.mark.skipif(os.name != "posix", reason="kills a process with SIGKILL")
def test_what_was_committed_survives_the_death_of_its_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    code = f"""
import os, signal
from datetime import UTC, datetime
import sqlalchemy as sa
from polyclinic.core.storage.database import *
from polyclinic.registry.tables import OpeningRow
engine = open_database({url!r})
migrate(engine)
row = dict(dataset_digest="a", model_digest="b", time=datetime.now(UTC), by="kept")
with writing(engine) as connection:
    connection.execute(sa.insert(OpeningRow).values(row))
with writing(engine) as connection:
    connection.execute(sa.update(OpeningRow).values(by="lost"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with open_database(url).connect() as connection:
        assert connection.scalars(sa.select(OpeningRow.by)).all() == ["kept"]
