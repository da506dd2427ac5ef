"""References to model versions: `name`, `name@champion`, `name@candidate`, `name@3fa91c`."""

import re
from collections.abc import Iterable
from typing import NoReturn

import sqlalchemy as sa

from polyclinic.core.errors import Conflict, InvalidInput, NotFound
from polyclinic.registry.rows import query_of, read_versions
from polyclinic.registry.tables import ApprovalRow, ModelVersionRow
from polyclinic.registry.version import ModelVersion

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9-]{1,64})(@((?P<alias>champion|candidate)|(?P<digits>[0-9a-f]{6,64})))?"
)


def find_version(engine: sa.Engine, reference: str) -> ModelVersion:
    """The version that `reference` names; see `Registry.resolve`. One query where it is there."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise InvalidInput(
            f"{reference!r} is not a reference to a model version",
            where=reference,
            remedy="Write NAME, NAME@champion, NAME@candidate or NAME@ and 6 or more digits of its"
            " version.",
        )
    name, digits, alias = match["name"], match["digits"], match["alias"] or "champion"
    query = query_of(ModelVersionRow).where(ModelVersionRow.name == name)
    if digits:
        query = query.where(ModelVersionRow.digest.startswith(digits)).limit(2)
    else:
        # An alias is what its last approval says.
        query = (
            query.join(ApprovalRow, ApprovalRow.model_digest == ModelVersionRow.digest)
            .where(ApprovalRow.name == name, ApprovalRow.alias == alias)
            .order_by(ApprovalRow.id.desc())
            .limit(1)
        )
    found = read_versions(engine, query)
    if not found:
        _say_what_there_is(engine, name, f"version {digits}" if digits else alias, reference)
    if len(found) > 1:
        raise Conflict(
            f"{reference} fits several versions: {_listed(v.version for v in found)} at least",
            where=reference,
            remedy="Give more digits.",
        )
    return found[0]


def _say_what_there_is(engine: sa.Engine, name: str, wanted: str, reference: str) -> NoReturn:
    everything = read_versions(engine, query_of(ModelVersionRow))
    versions = [version for version in everything if version.name == name]
    if not versions:
        names = sorted({version.name for version in everything})
        raise NotFound(
            f"There is no model named {name}",
            where=reference,
            remedy=f"There is: {_listed(names)}.",
        )
    raise NotFound(
        f"{name} has no {wanted}",
        where=reference,
        remedy=f"There is: {_listed(map(str, versions))}."
        " `polyclinic models promote` gives one an alias.",
    )


def _listed(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more if listed else "none yet"
