"""The registry: immutable, signed model versions and what is known about them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias, get_args

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polyclinic.core.digest import sha256
from polyclinic.core.errors import Conflict, IntegrityError, InvalidInput, NotFound
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.settings import Settings
from polyclinic.core.settings import settings as process_settings
from polyclinic.core.storage.blobs import Blobs
from polyclinic.core.storage.database import migrate, open_database, writing
from polyclinic.registry.history import Alias, Approval, History, Opening
from polyclinic.registry.manifest import Manifest, read_manifest
from polyclinic.registry.signing import Keys, Signature, open_keys
from polyclinic.registry.tables import ApprovalRow, EvaluationRow, ModelVersionRow, OpeningRow
from polyclinic.registry.version import ModelVersion

__all__ = ["ModelVersion", "Registry", "open_registry"]

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9-]{1,64})(?:@(?:(?P<alias>[a-z]+)|(?P<prefix>[0-9a-f]{6,64})))?"
)
Query: TypeAlias = sa.Select[*tuple[Any, ...]]
_VERSION_COLUMNS = tuple(sa.inspect(ModelVersionRow).columns)


class Registry:
    """Model versions, their aliases, evaluations and test openings.

    Artefacts rest in `blobs`, everything else in the database of `engine`.
    """

    def __init__(self, engine: sa.Engine, blobs: Blobs, keys: Keys) -> None:
        self.engine = engine
        self.blobs = blobs
        self.keys = keys

    # Versions

    def add(
        self,
        manifest: Manifest,
        files: Mapping[str, bytes],
        signer: Ed25519PrivateKey | None = None,
    ) -> ModelVersion:
        """Sign `manifest` (by the site's key unless `signer` is given) and store it with `files`.

        The same manifest again is the same version. The first version of a name becomes its
        candidate. All or nothing: what fails leaves nothing listed. Raises `IntegrityError` when
        the files are not those of the manifest or the signer is not trusted.
        """
        document = manifest.document()
        return self.store(document, self.keys.sign(document, signer), files)

    def store(
        self,
        document: bytes,
        signature: Signature,
        files: Mapping[str, bytes],
        history: History | None = None,
    ) -> ModelVersion:
        """Store a manifest that is signed already, its artefacts and its history.

        Everything is verified before anything is stored. A version that is there already is
        written anew, which repairs its damaged parts. Raises `IntegrityError`.
        """
        manifest = read_manifest(document)
        version = ModelVersion(
            manifest.name, manifest.kind, manifest.created, sha256(document), document, signature
        )
        self.keys.verify(document, signature, str(version))
        _check_files(version, files)
        # Blobs first: a version is listed only once all of it is there.
        for data in files.values():
            self.blobs.put(data)
        with writing(self.engine) as connection:
            first = not connection.scalar(
                sa.select(sa.exists().where(ModelVersionRow.name == version.name))
            )
            there = ModelVersionRow.digest == version.digest
            if connection.scalar(sa.select(sa.exists().where(there))):
                connection.execute(sa.update(ModelVersionRow).where(there).values(**_row(version)))
            else:
                connection.execute(sa.insert(ModelVersionRow).values(**_row(version)))
            if first:
                _approve(connection, version, "candidate", "registry", "The first of its name")
            if history:
                for evaluation in history.evaluations:
                    _insert_new(connection, EvaluationRow, _evaluation_row(version, evaluation))
                for opening in history.test_openings:
                    _insert_new(connection, OpeningRow, opening.model_dump())
        return version

    def resolve(self, reference: str) -> ModelVersion:
        """The version that `reference` names.

        `name` and `name@champion` are the champion, `name@candidate` the candidate, and
        `name@DIGITS` (6 or more of the digest's first digits) that very version. Raises
        `NotFound`, saying what there is; `Conflict` when the digits fit several versions;
        `InvalidInput` for text that is no reference.
        """
        match = _REFERENCE.fullmatch(reference)
        # Digits win over an alias where a word could be both; no alias is a hexadecimal word.
        if not match or (match["alias"] and match["alias"] not in get_args(Alias)):
            raise InvalidInput(
                f"{reference!r} is not a reference to a model version",
                where=reference,
                remedy="Write NAME, NAME@champion, NAME@candidate or NAME@ and 6 or more digits"
                " of its version.",
            )
        query = sa.select(*_VERSION_COLUMNS).where(ModelVersionRow.name == match["name"])
        if match["prefix"]:
            query = query.where(ModelVersionRow.digest.startswith(match["prefix"])).limit(2)
        else:
            query = (
                query.join(ApprovalRow, ApprovalRow.model_digest == ModelVersionRow.digest)
                .where(
                    ApprovalRow.name == match["name"],
                    ApprovalRow.alias == (match["alias"] or "champion"),
                )
                .order_by(ApprovalRow.id.desc())
                .limit(1)
            )
        found = self._versions(query)
        if not found:
            self._say_what_there_is(match["name"], reference)
        if len(found) > 1:
            raise Conflict(
                f"{reference} fits several versions, such as "
                + " and ".join(version.version for version in found),
                where=reference,
                remedy="Give more digits.",
            )
        return found[0]

    def versions(self, name: str | None = None) -> list[ModelVersion]:
        """Every version (of `name`), by name, the newest first; damaged ones are listed too."""
        query = sa.select(*_VERSION_COLUMNS).order_by(
            ModelVersionRow.name, ModelVersionRow.created.desc(), ModelVersionRow.digest
        )
        return self._versions(query.where(ModelVersionRow.name == name) if name else query)

    def verify(self, version: ModelVersion) -> Manifest:
        """The manifest of `version`. Raises `IntegrityError` unless digest and signature fit."""
        manifest = version.manifest
        self.keys.verify(version.document, version.signature, str(version))
        return manifest

    def load(self, version: ModelVersion) -> dict[str, bytes]:
        """The artefacts of `version`, by name, each verified down to its digest and size.

        Raises `IntegrityError` when the manifest, its signature or an artefact is not what it was.
        """
        files = {}
        for name, artefact in self.verify(version).artefacts.items():
            try:
                files[name] = self.blobs.get(artefact.digest)
            except IntegrityError as error:
                raise IntegrityError(
                    f"{version} is refused: its artefact {name} is damaged. {error.detail}",
                    where=error.where,
                    remedy=error.remedy,
                ) from None
        _check_files(version, files)
        return files

    # Aliases

    def promote(
        self, reference: str, alias: Alias = "champion", *, by: str, reason: str
    ) -> ModelVersion:
        """Give the version that `reference` names an alias; `by` whom and why is kept.

        Raises what `resolve` and `load` raise: a version that cannot be loaded is not promoted.
        """
        version = self.resolve(reference)
        self.load(version)
        with writing(self.engine) as connection:
            _approve(connection, version, alias, by, reason)
        return version

    def aliases(self, name: str | None = None) -> list[Approval]:
        """The approval behind each alias (of `name`) as it stands now."""
        last = sa.select(sa.func.max(ApprovalRow.id)).group_by(ApprovalRow.name, ApprovalRow.alias)
        return self._approvals(name, ApprovalRow.id.in_(last))

    def approvals(self, name: str | None = None) -> list[Approval]:
        """Every approval ever given (for `name`), the oldest first."""
        return self._approvals(name)

    # Evaluations and openings of the test part

    def record_evaluation(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Keep `evaluation` with `version`. Raises `NotFound` when the version is not here."""
        with writing(self.engine) as connection:
            self._must_have(connection, version)
            _insert_new(connection, EvaluationRow, _evaluation_row(version, evaluation))

    def evaluations(self, version: ModelVersion) -> list[Evaluation]:
        """What was measured of `version` after it was made, the oldest first.

        Its validation stands in its manifest. Raises `IntegrityError` for an altered evaluation.
        """
        query = (
            sa.select(EvaluationRow.digest, EvaluationRow.document)
            .where(EvaluationRow.model_digest == version.digest)
            .order_by(EvaluationRow.time, EvaluationRow.digest)
        )
        return [_read_evaluation(version, row.digest, row.document) for row in self._all(query)]

    def open_test(self, version: ModelVersion, dataset_digest: str, by: str) -> int:
        """Log that `by` looks at a data set's test part for `version`.

        Returns how often that part has been opened in all, this time included: each further look
        makes what it says less worth (Dwork et al. 2015, Science 349:636). Raises `NotFound` when
        the version is not here.
        """
        opening = Opening(
            dataset_digest=dataset_digest,
            model_digest=version.digest,
            time=datetime.now(UTC),
            by=by,
        )
        with writing(self.engine) as connection:
            self._must_have(connection, version)
            connection.execute(sa.insert(OpeningRow).values(**opening.model_dump()))
            count = sa.select(sa.func.count()).select_from(OpeningRow)
            return connection.scalars(
                count.where(OpeningRow.dataset_digest == dataset_digest)
            ).one()

    def test_openings(self, dataset_digest: str) -> list[Opening]:
        """Every logged look at the data set's test part, for any model, the oldest first."""
        query = (
            sa.select(*sa.inspect(OpeningRow).columns)
            .where(OpeningRow.dataset_digest == dataset_digest)
            .order_by(OpeningRow.time)
        )
        return [Opening(**row._mapping) for row in self._all(query)]

    def history(self, version: ModelVersion) -> History:
        """What travels with `version` in its bundle."""
        return History(
            model_digest=version.digest,
            evaluations=tuple(self.evaluations(version)),
            test_openings=tuple(self.test_openings(version.manifest.data.digest)),
        )

    def _all(self, query: Query) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def _versions(self, query: Query) -> list[ModelVersion]:
        return [
            ModelVersion(
                row.name,
                row.kind,
                row.created,
                row.digest,
                row.document,
                # Unchecked here, so that a damaged row spoils no listing; `verify` checks it.
                Signature.model_construct(signer=row.signer, value=row.signature),
            )
            for row in self._all(query)
        ]

    def _approvals(self, name: str | None, *wanted: sa.ColumnElement[bool]) -> list[Approval]:
        columns = (
            ApprovalRow.name,
            ApprovalRow.alias,
            ApprovalRow.model_digest,
            ApprovalRow.time,
            ApprovalRow.by,
            ApprovalRow.reason,
        )
        query = sa.select(*columns).where(*wanted).order_by(ApprovalRow.id)
        query = query.where(ApprovalRow.name == name) if name else query
        return [Approval(**row._mapping) for row in self._all(query)]

    def _must_have(self, connection: sa.Connection, version: ModelVersion) -> None:
        there = sa.exists().where(ModelVersionRow.digest == version.digest)
        if not connection.scalar(sa.select(there)):
            raise NotFound(f"There is no {version} here", remedy="Import its bundle first.")

    def _say_what_there_is(self, name: str, reference: str) -> NoReturn:
        versions = self.versions(name)
        if not versions:
            names = sorted({version.name for version in self.versions()})
            raise NotFound(
                f"There is no model named {name}",
                where=reference,
                remedy=f"There is: {_listed(names)}.",
            )
        raise NotFound(
            f"{name} has no {reference.partition('@')[2] or 'champion'}",
            where=reference,
            remedy=f"There is: {_listed(map(str, versions))}."
            " `polyclinic models promote` makes one the champion.",
        )


def open_registry(settings: Settings | None = None) -> Registry:
    """The registry of these settings (this process's by default), its schema up to date.

    Raises `Unavailable` when its database does not answer, and what `migrate` and `open_keys`
    raise.
    """
    settings = settings or process_settings()
    engine = open_database(settings.database)
    migrate(engine)
    return Registry(engine, Blobs(settings.blobs), open_keys(settings.home))


def _check_files(version: ModelVersion, files: Mapping[str, bytes]) -> None:
    artefacts = version.manifest.artefacts
    if files.keys() != artefacts.keys():
        wrong = sorted(files.keys() ^ artefacts.keys())
        raise IntegrityError(
            f"The files of {version} are not those of its manifest: {', '.join(wrong)}",
            where=str(version),
        )
    for name, artefact in artefacts.items():
        data = files[name]
        if len(data) != artefact.size or sha256(data) != artefact.digest:
            raise IntegrityError(
                f"The artefact {name} of {version} is not what its manifest says:"
                f" {artefact.size} bytes of digest {artefact.digest[:12]} are due,"
                f" {len(data)} bytes of digest {sha256(data)[:12]} are there",
                where=name,
            )


def _row(version: ModelVersion) -> dict[str, object]:
    return {
        "digest": version.digest,
        "name": version.name,
        "kind": version.kind,
        "created": version.created,
        "document": version.document,
        "signer": version.signature.signer,
        "signature": version.signature.value,
    }


def _evaluation_row(version: ModelVersion, evaluation: Evaluation) -> dict[str, object]:
    document = evaluation.model_dump_json().encode()
    return {
        "model_digest": version.digest,
        "digest": sha256(document),
        "time": evaluation.time,
        "document": document,
    }


def _read_evaluation(version: ModelVersion, digest: str, document: bytes) -> Evaluation:
    if sha256(document) != digest:
        raise IntegrityError(
            f"An evaluation of {version} was altered",
            where=f"evaluation {digest}",
            remedy="Restore the database from its backup.",
        )
    return Evaluation.model_validate_json(document)


def _insert_new(connection: sa.Connection, table: Any, values: Mapping[str, object]) -> None:
    """Insert a row unless one with its primary key is there. The caller holds the write lock."""
    key = [column == values[column.name] for column in sa.inspect(table).primary_key]
    if not connection.scalar(sa.select(sa.exists().where(*key))):
        connection.execute(sa.insert(table).values(**values))


def _approve(
    connection: sa.Connection, version: ModelVersion, alias: Alias, by: str, reason: str
) -> None:
    connection.execute(
        sa.insert(ApprovalRow).values(
            name=version.name,
            alias=alias,
            model_digest=version.digest,
            time=datetime.now(UTC),
            by=by,
            reason=reason,
        )
    )


def _listed(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more if listed else "none yet"
