"""The registry: immutable, signed model versions and what is known about them."""

from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, NotFound
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.prediction import Reweighting
from polyclinic.core.settings import Settings
from polyclinic.core.settings import settings as process_settings
from polyclinic.core.storage.blobs import Blobs
from polyclinic.core.storage.database import migrate, open_database, writing
from polyclinic.registry.history import Alias, Approval, History, Opening
from polyclinic.registry.manifest import Manifest, read_manifest
from polyclinic.registry.reference import find_version
from polyclinic.registry.rows import (
    has_version,
    query_of,
    read_approvals,
    read_evaluations,
    read_openings,
    read_versions,
    write_approval,
    write_history,
    write_version,
)
from polyclinic.registry.signing import Keys, Signature, open_keys
from polyclinic.registry.tables import ApprovalRow, ModelVersionRow, OpeningRow, ReweightingRow
from polyclinic.registry.version import ModelVersion

__all__ = ["ModelVersion", "Registry", "open_registry"]


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
            write_version(connection, version)
            write_history(connection, version, history or History(model_digest=version.digest))
        return version

    def resolve(self, reference: str) -> ModelVersion:
        """The version that `reference` names.

        `name` and `name@champion` are the champion, `name@candidate` the candidate, and
        `name@DIGITS` (6 or more of the digest's first digits) that very version. Raises
        `NotFound`, saying what there is; `Conflict` when the digits fit several versions;
        `InvalidInput` for text that is no reference.
        """
        return find_version(self.engine, reference)

    def versions(self, name: str | None = None) -> list[ModelVersion]:
        """Every version (of `name`), by name, the newest first; damaged ones are listed too."""
        query = query_of(ModelVersionRow).order_by(
            ModelVersionRow.name, ModelVersionRow.created.desc(), ModelVersionRow.digest
        )
        query = query.where(ModelVersionRow.name == name) if name else query
        return read_versions(self.engine, query)

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
            write_approval(connection, version, alias, by, reason)
        return version

    def aliases(self, name: str | None = None) -> list[Approval]:
        """The approval behind each alias (of `name`) as it stands now."""
        last = sa.select(sa.func.max(ApprovalRow.id)).group_by(ApprovalRow.name, ApprovalRow.alias)
        query = query_of(ApprovalRow).where(ApprovalRow.id.in_(last))
        query = query.where(ApprovalRow.name == name) if name else query
        return read_approvals(self.engine, query)

    def approvals(self, name: str | None = None) -> list[Approval]:
        """Every approval ever given (for `name`), the oldest first."""
        query = query_of(ApprovalRow)
        query = query.where(ApprovalRow.name == name) if name else query
        return read_approvals(self.engine, query)

    # Evaluations and openings of the test part

    def record_evaluation(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Keep `evaluation` with `version`. Raises `NotFound` when the version is not here."""
        with writing(self.engine) as connection:
            self._must_have(connection, version)
            history = History(model_digest=version.digest, evaluations=(evaluation,))
            write_history(connection, version, history)

    def evaluations(self, version: ModelVersion) -> list[Evaluation]:
        """What was measured of `version` after it was made, the oldest first.

        Its validation stands in its manifest. Raises `IntegrityError` for an altered evaluation.
        """
        return read_evaluations(self.engine, version)

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
        return read_openings(self.engine, dataset_digest)

    # Re-weighting to the site's prevalence

    def reweight(self, version: ModelVersion, to: Reweighting | None, by: str) -> None:
        """Have `version` answer re-weighted from now on, or no more; `by` whom is kept.

        Raises `NotFound` when the version is not here.
        """
        document = None if to is None else to.model_dump_json().encode()
        with writing(self.engine) as connection:
            self._must_have(connection, version)
            connection.execute(
                sa.insert(ReweightingRow).values(
                    model_digest=version.digest, time=datetime.now(UTC), by=by, document=document
                )
            )

    def reweighting(self, version: ModelVersion) -> Reweighting | None:
        """To what the probabilities of `version` are re-weighted at this site, if they are."""
        last = (
            sa.select(ReweightingRow.document)
            .where(ReweightingRow.model_digest == version.digest)
            .order_by(ReweightingRow.id.desc())
            .limit(1)
        )
        with self.engine.connect() as connection:
            document = connection.scalar(last)
        return None if document is None else Reweighting.model_validate_json(document)

    def history(self, version: ModelVersion) -> History:
        """What travels with `version` in its bundle."""
        return History(
            model_digest=version.digest,
            evaluations=tuple(self.evaluations(version)),
            test_openings=tuple(self.test_openings(version.manifest.data.digest)),
        )

    def _must_have(self, connection: sa.Connection, version: ModelVersion) -> None:
        if not has_version(connection, version):
            raise NotFound(f"There is no {version} here", remedy="Import its bundle first.")


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
