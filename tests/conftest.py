"""Fixtures of all tests: a real, private PostgreSQL server, and one database URL a test."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from polyclinic.core.settings import settings

POSTGRES_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the state of the person who runs it."""
    settings.cache_clear()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("POLYCLINIC_HOME", str(tmp_path_factory.mktemp("polyclinic-home")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that `POLYCLINIC_SHARED_DATA` names; without it the test skips."""
    folder = os.environ.get("POLYCLINIC_SHARED_DATA")
    if not folder:
        pytest.skip("POLYCLINIC_SHARED_DATA names no folder of real data")
    assert Path(folder).is_dir(), f"POLYCLINIC_SHARED_DATA: {folder} is no folder"
    return Path(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL, less the database's name, of a cluster that lives as long as the tests do."""
    if not POSTGRES_BINARIES:
        pytest.skip("PostgreSQL's binaries are not in /usr/lib/postgresql/*/bin")
    binaries = POSTGRES_BINARIES[-1]
    # Unix sockets need a short path, and the server's own user must reach it; so not tmp_path.
    folder = Path(tempfile.mkdtemp(prefix="polyclinic-pg-"))
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    run = [*user, str(binaries / "pg_ctl"), "-D", str(data), "-l", str(folder / "log")]
    init = [*user, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "polyclinic"]
    try:
        subprocess.run([*init, "-E", "UTF8"], check=True, capture_output=True, cwd=folder)
        options = f"-h '' -k {folder} -c fsync=off"
        subprocess.run(
            [*run, "-o", options, "-w", "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder
        )
        yield f"postgresql://polyclinic@/{{name}}?host={folder}"
    finally:
        stop = [*run, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A fresh, empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.make_url(postgres_server.format(name="postgres"))
    engine = sa.create_engine(
        admin.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return postgres_server.format(name=name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'polyclinic.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
