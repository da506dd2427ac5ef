"""A model version in one file, `NAME-VERSION.polyclinic`, to carry from site to site.

A zip of stored members: `manifest.json` and `manifest.sig`, `history.json` and `history.sig`, and
the artefacts below `artefacts/`. Nothing in it is believed before its signature is verified, and
nothing is ever extracted to a path that the file names.
"""

import io
import zipfile
import zlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from pydantic_core import from_json

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, NotFound, Unavailable
from polyclinic.core.storage.blobs import write_atomic
from polyclinic.registry.history import History
from polyclinic.registry.manifest import Manifest, check_format, first_problem, read_manifest
from polyclinic.registry.signing import Signature
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

SUFFIX = ".polyclinic"
ARTEFACTS = "artefacts/"
DOCUMENTS = ("manifest.json", "manifest.sig", "history.json", "history.sig")
#: Bounds on what is read before a signature was verified, in bytes.
MAX_MANIFEST = 8 * 2**20
MAX_HISTORY = 64 * 2**20
MAX_SIGNATURE = 4096
MAX_MEMBERS = 1024
#: The earliest time that a zip can hold: the same content gives the same bytes at any time.
_TIME = (1980, 1, 1, 0, 0, 0)


def bundle_name(version: ModelVersion) -> str:
    """The file name that tells which version a bundle holds."""
    return f"{version.name}-{version.version}{SUFFIX}"


def export_bundle(
    registry: Registry,
    version: ModelVersion,
    path: Path,
    signer: Ed25519PrivateKey | None = None,
) -> None:
    """Write `version` with its history to `path`; the same content gives the same bytes.

    The history is signed by `signer`, or by the site's key. Raises `IntegrityError` when the
    version is damaged, `Unavailable` when `path` cannot be written.
    """
    files = registry.load(version)
    history = registry.history(version).model_dump_json().encode()
    members = {
        "manifest.json": version.document,
        "manifest.sig": version.signature.model_dump_json().encode(),
        "history.json": history,
        "history.sig": registry.keys.sign(history, signer).model_dump_json().encode(),
    }
    members |= {ARTEFACTS + name: data for name, data in sorted(files.items())}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, _TIME)
            member.external_attr = 0o644 << 16
            bundle.writestr(member, data)
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise Unavailable(
            f"The bundle cannot be written: {error.strerror}", where=str(path)
        ) from None


def import_bundle(registry: Registry, path: Path) -> ModelVersion:
    """Store the version that the bundle at `path` holds, with its history.

    All of it is verified before any of it is stored. Raises `IntegrityError` saying which part is
    not as it must be and why, `NotFound` when there is no such file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound("There is no such file", where=str(path)) from None
    except OSError as error:
        raise Unavailable(f"The file cannot be read: {error.strerror}", where=str(path)) from None
    with file:
        try:
            with zipfile.ZipFile(file) as bundle:
                return _import(registry, _Members(bundle))
        except IntegrityError as error:
            raise IntegrityError(
                f"{path.name}: {error.detail}", where=error.where or str(path), remedy=error.remedy
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            # What zipfile raises for a file that is no zip, truncated, of offsets that lead
            # nowhere, or beyond what it knows.
            raise IntegrityError(
                f"{path.name} is not a whole {SUFFIX} file: {error}",
                where=str(path),
                remedy="Get the file again from its maker.",
            ) from None


def _import(registry: Registry, members: "_Members") -> ModelVersion:
    document = members.read("manifest.json", MAX_MANIFEST)
    signature = _signature(members, "manifest.sig")
    registry.keys.verify(document, signature, "manifest.json")
    manifest = read_manifest(document)
    members.must_be(manifest)

    story = members.read("history.json", MAX_HISTORY)
    registry.keys.verify(story, _signature(members, "history.sig"), "history.json")
    history = _history(story)
    if history.model_digest != sha256(document):
        raise IntegrityError("The history is that of another model", where="history.json")

    # The manifest is believed by now, so its sizes bound what is read.
    files = {
        name: members.read(ARTEFACTS + name, artefact.size)
        for name, artefact in manifest.artefacts.items()
    }
    return registry.store(document, signature, files, history)


class _Members:
    """The members of a bundle, none of which may surprise."""

    def __init__(self, bundle: zipfile.ZipFile) -> None:
        self._bundle = bundle
        names = [member.filename for member in bundle.infolist()]
        if len(names) > MAX_MEMBERS:
            raise IntegrityError(f"It has {len(names)} members; {MAX_MEMBERS} are allowed")
        for member in bundle.infolist():
            name = member.filename
            if names.count(name) > 1:
                raise IntegrityError(f"It has two members named {name}", where=name)
            # `orig_filename` is the name before zipfile made it harmless for this system.
            parts = member.orig_filename.replace("\\", "/").split("/")
            if ".." in parts or parts[0] == "" or ":" in parts[0]:
                raise IntegrityError(f"The member {name!r} points outside the bundle", where=name)
            if member.flag_bits & 0x1:
                raise IntegrityError(f"The member {name} is encrypted", where=name)
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise IntegrityError(f"The member {name} is packed in an unknown way", where=name)

    def read(self, name: str, most: int) -> bytes:
        """The member's bytes, of which at most `most + 1` are ever unpacked."""
        try:
            member = self._bundle.getinfo(name)
        except KeyError:
            raise IntegrityError(f"The member {name} is missing", where=name) from None
        with self._bundle.open(member) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise IntegrityError(f"The member {name} has more than {most} bytes", where=name)
        return data

    def must_be(self, manifest: Manifest) -> None:
        """Raise `IntegrityError` for a member that the manifest does not account for."""
        known = {*DOCUMENTS, *(ARTEFACTS + name for name in manifest.artefacts)}
        unknown = sorted(set(self._bundle.namelist()) - known)
        if unknown:
            raise IntegrityError(f"The member {unknown[0]!r} is unknown", where=unknown[0])


def _signature(members: _Members, name: str) -> Signature:
    try:
        return Signature.model_validate_json(members.read(name, MAX_SIGNATURE))
    except ValidationError as error:
        raise IntegrityError(
            f"{name} is no signature: {first_problem(error)}", where=name
        ) from None


def _history(document: bytes) -> History:
    try:
        check_format(from_json(document), "history")
        return History.model_validate_json(document)
    except ValidationError as error:
        problem = first_problem(error)
    except ValueError as error:
        problem = str(error)
    raise IntegrityError(f"The history is not as it must be: {problem}", where="history.json")
