"""Between the registry's values and the rows of its tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError
from polyclinic.core.evaluation import Evaluation
from polyclinic.registry.history import Alias, Approval, History, Opening
from polyclinic.registry.signing import Signature
from polyclinic.registry.tables import ApprovalRow, EvaluationRow, ModelVersionRow, OpeningRow
from polyclinic.registry.version import ModelVersion

Query: TypeAlias = sa.Select[*tuple[Any, ...]]


def query_of(table: type[Any]) -> Query:
    """A query of all columns of `table`."""
    return sa.select(*sa.inspect(table).columns)


def read_versions(engine: sa.Engine, query: Query) -> list[ModelVersion]:
    """The versions that `query`, of all columns, finds."""
    return [
        ModelVersion(
            row.name,
            row.kind,
            row.created,
            row.digest,
            row.document,
            # Unchecked here, so that a damaged row spoils no listing; `Registry.verify` checks it.
            Signature.model_construct(signer=row.signer, value=row.signature),
        )
        for row in _all(engine, query)
    ]


def read_approvals(engine: sa.Engine, query: Query) -> list[Approval]:
    """The approvals that `query`, of all columns, finds, the oldest first."""
    return [
        Approval(**{name: row._mapping[name] for name in Approval.model_fields})
        for row in _all(engine, query.order_by(ApprovalRow.id))
    ]


def read_openings(engine: sa.Engine, dataset_digest: str) -> list[Opening]:
    """Every opening of the data set's test part, the oldest first."""
    query = query_of(OpeningRow).where(OpeningRow.dataset_digest == dataset_digest)
    return [Opening(**row._mapping) for row in _all(engine, query.order_by(OpeningRow.time))]


def read_evaluations(engine: sa.Engine, version: ModelVersion) -> list[Evaluation]:
    """Every evaluation of `version`, the oldest first; `IntegrityError` where one was altered."""
    query = query_of(EvaluationRow).where(EvaluationRow.model_digest == version.digest)
    evaluations = []
    for row in _all(engine, query.order_by(EvaluationRow.time, EvaluationRow.digest)):
        if sha256(row.document) != row.digest:
            raise IntegrityError(
                f"An evaluation of {version} was altered",
                where=f"evaluation {row.digest}",
                remedy="Restore the database from its backup.",
            )
        evaluations.append(Evaluation.model_validate_json(row.document))
    return evaluations


# What writes is called inside `writing`, so that what it looked up stays true.


def write_version(connection: sa.Connection, version: ModelVersion) -> None:
    """Write `version`, over its old row where there is one."""
    values = {
        "digest": version.digest,
        "name": version.name,
        "kind": version.kind,
        "created": version.created,
        "document": version.document,
        "signer": version.signature.signer,
        "signature": version.signature.value,
    }
    there = ModelVersionRow.digest == version.digest
    if _exists(connection, there):
        connection.execute(sa.update(ModelVersionRow).where(there).values(values))
        return
    first = not _exists(connection, ModelVersionRow.name == version.name)
    connection.execute(sa.insert(ModelVersionRow).values(values))
    if first:
        write_approval(connection, version, "candidate", "registry", "The first of its name")


def write_approval(
    connection: sa.Connection, version: ModelVersion, alias: Alias, by: str, reason: str
) -> None:
    """Give `version` the alias from now on."""
    approval = Approval(
        name=version.name,
        alias=alias,
        model_digest=version.digest,
        time=datetime.now(UTC),
        by=by,
        reason=reason,
    )
    connection.execute(sa.insert(ApprovalRow).values(approval.model_dump()))


def write_history(connection: sa.Connection, version: ModelVersion, history: History) -> None:
    """Write what of `history` is not there yet."""
    for evaluation in history.evaluations:
        document = evaluation.model_dump_json().encode()
        values = {
            "model_digest": version.digest,
            "digest": sha256(document),
            "time": evaluation.time,
            "document": document,
        }
        _insert_new(connection, EvaluationRow, values)
    for opening in history.test_openings:
        _insert_new(connection, OpeningRow, opening.model_dump())


def has_version(connection: sa.Connection, version: ModelVersion) -> bool:
    """Whether `version` is there."""
    return _exists(connection, ModelVersionRow.digest == version.digest)


def _all(engine: sa.Engine, query: Query) -> list[sa.Row[*tuple[Any, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(query))


def _exists(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> bool:
    return bool(connection.scalar(sa.select(sa.exists().where(*where))))


def _insert_new(connection: sa.Connection, table: type[Any], values: Mapping[str, object]) -> None:
    key = [column == values[column.name] for column in sa.inspect(table).primary_key]
    if not _exists(connection, *key):
        connection.execute(sa.insert(table).values(values))
