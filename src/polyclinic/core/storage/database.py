"""The database: SQLite by default, PostgreSQL by URL, and the migrations of both."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.orm import DeclarativeBase

from polyclinic.core.errors import Conflict, InvalidInput, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 30
#: PostgreSQL's advisory lock that writers take in turn: "poly" in ASCII.
WRITER_LOCK = 0x706F6C79
_ALEMBIC = sa.table("alembic_version")


class Instant(sa.TypeDecorator[datetime]):
    """A moment, aware and in UTC on both databases; SQLite alone would forget the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """From UTC, whatever zone the session's connection displays."""
        if value is None:
            return None
        moment: datetime = value
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The base of every table; one schema, one line of migrations."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Instant}
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def open_database(url: str) -> sa.Engine:
    """The engine of the database at `url`; nothing is read yet, but SQLite's folder is made.

    Raises `InvalidInput` for a URL that is not one of SQLite or PostgreSQL. What fails later,
    because the database does not answer or is broken, is raised by the engine as `Unavailable`,
    with the database's address and never its password.
    """
    parsed = _parse(url)
    try:
        engine = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"This database needs the package {error.name}",
            where=_address(parsed),
            remedy="Install polyclinic[scale].",
        ) from None
    if parsed.get_backend_name() == "sqlite":
        _make_folder(parsed)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    sa.event.listen(engine, "handle_error", _translate)
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction whose holder alone writes, committed at the end; others wait their turn.

    What is read inside stays true until the commit, on both databases: SQLite begins with its
    write lock taken (a later upgrade of a read lock could fail as busy at once), PostgreSQL takes
    an advisory lock. For writes that are rare and must not race; a lone INSERT needs it not.
    """
    connecting = engine.connect().execution_options(polyclinic_writing=True)
    with connecting as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
        yield connection


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision; quick, and without alembic, where it is already.

    Processes that start together take turns. Raises `Conflict` when the database was made by a
    newer Polyclinic, and `Unavailable` when it does not answer.
    """
    known = revisions()
    if _revision_there(engine) == known[-1]:
        return
    with writing(engine) as connection:
        there = _revision_there(connection)
        if there == known[-1]:
            return
        if there is not None and there not in known:
            raise Conflict(
                f"The database has schema revision {there}; this Polyclinic knows {known[-1]}",
                where=_address(engine.url),
                remedy="Run the Polyclinic that made it, or a newer one.",
            )
        from alembic import command

        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: sa.Connection) -> Any:
    """Alembic's `Config` for the package's own migrations, over an open connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def revisions() -> list[str]:
    """Every revision, oldest first: the number that each migration's file name starts with."""
    return sorted(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision_there(bind: sa.Engine | sa.Connection) -> str | None:
    if not sa.inspect(bind).has_table(_ALEMBIC.name):
        return None
    query = sa.select(sa.literal_column("version_num", sa.String)).select_from(_ALEMBIC)
    if isinstance(bind, sa.Connection):
        return bind.scalar(query)
    with bind.connect() as connection:
        return connection.scalar(query)


def _parse(url: str) -> sa.URL:
    where = "setting database_url"
    remedy = "Give sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise InvalidInput("This is not a database URL", where=where, remedy=remedy) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InvalidInput(
            f"{parsed.drivername} is not a database that is supported", where=where, remedy=remedy
        )
    return parsed


def _make_folder(url: sa.URL) -> None:
    if not url.database:
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The database's folder cannot be made: {error.strerror}",
            where=str(folder),
            remedy="Set POLYCLINIC_HOME or POLYCLINIC_DATABASE_URL to a place that can be written.",
        ) from None


def _address(url: sa.URL) -> str:
    """Host, port and database: what a person needs to find it, and no secret."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database or ''}"
    host = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database or ''}"


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # The driver must not begin transactions of its own: `_begin_sqlite` does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    _use_wal(connection)
    # An acknowledged model version must outlive a power failure; NORMAL may lose the last ones.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Set write-ahead logging, so that readers and a writer do not wait for each other.

    It stays with the file. For its first setting alone SQLite does not heed the busy timeout, so
    of processes that start together all but one must try again.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("polyclinic_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _translate(context: ExceptionContext) -> None:
    """Raise what the database itself could not do as `Unavailable`; leave our own mistakes."""
    dbapi = context.dialect.loaded_dbapi
    problem = context.original_exception
    if isinstance(problem, dbapi.OperationalError) or type(problem) is dbapi.DatabaseError:
        url = context.engine.url if context.engine else None
        reason = str(problem).strip()
        if url is not None and url.password:
            reason = reason.replace(str(url.password), "***")
        raise Unavailable(
            f"The database does not answer: {reason}",
            where=_address(url) if url is not None else None,
            remedy="Check that it runs, that its address is right, and that its disk has room.",
        ) from None
