"""What a library's folder holds, signed: a file that is not as it was built is refused.

| file | what |
|---|---|
| `manifest.json`, `manifest.sig` | this, and the site's signature over it |
| `molecules.parquet` | a row each: id, smiles, name, and the columns that came along |
| `morgan.npy` | Morgan fingerprints as FPSim2 reads them, by number of bits |
| `screen.npy` | the same, folded to fewer bits, in the same order |
| `pattern.npy` | pattern fingerprints, as `morgan.npy` |
| `molecules.bin`, `offsets.npy` | each molecule as RDKit's own bytes, and where each begins |

None holds code: the arrays are plain numbers, and FPSim2's own file, a pickle in HDF5, is not used.
"""

import hashlib
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput, NotFound
from polyclinic.core.frozen import Frozen
from polyclinic.core.storage.blobs import write_atomic
from polyclinic.registry.signing import Keys, Signature

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MOLECULES, MORGAN, SCREEN = "molecules.parquet", "morgan.npy", "screen.npy"
PATTERN, BINARIES, OFFSETS = "pattern.npy", "molecules.bin", "offsets.npy"
FILES = (MOLECULES, MORGAN, SCREEN, PATTERN, BINARIES, OFFSETS)
FORMAT = 1
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_REMEDY = "Build the library again from its source."


class File(Frozen):
    """A file's SHA-256 digest, and its size in bytes."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Manifest(Frozen):
    """What a library is.

    columns: the names of those that came along. radius, bits: of the Morgan fingerprints. folds:
    for each of the `bits`, its bit in the folded ones. strip_salts, neutralise, tautomer: how its
    molecules, and so queries, are standardised. seconds: what building took.
    """

    format: int = FORMAT
    name: str = Field(pattern=NAME)
    made: AwareDatetime
    rdkit: str
    molecules: int = Field(ge=1)
    rejected: int = Field(ge=0)
    columns: tuple[str, ...]
    radius: int
    bits: int
    folds: tuple[int, ...]
    strip_salts: bool
    neutralise: bool
    tautomer: bool
    seconds: float
    files: dict[str, File]

    @property
    def digest(self) -> str:
        """The library's identity: the digest of the manifest."""
        return sha256(self.model_dump_json().encode())


def describe(path: Path) -> File:
    """A file's digest and size; it is read as a stream."""
    with path.open("rb") as file:
        return File(digest=hashlib.file_digest(file, "sha256").hexdigest(), size=file.tell())


def write_manifest(folder: Path, manifest: Manifest, keys: Keys) -> None:
    """Write it and its signature by the site's key."""
    data = manifest.model_dump_json().encode()
    write_atomic(folder / MANIFEST, data)
    write_atomic(folder / SIGNATURE, keys.sign(data).model_dump_json().encode())


def read_manifest(folder: Path, keys: Keys) -> Manifest:
    """The manifest of the library in `folder`, whose every file is as it was when it was built.

    Raises `NotFound` where there is none, `IntegrityError` where a signature or digest is wrong.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
        signature = Signature.model_validate_json((folder / SIGNATURE).read_bytes())
    except FileNotFoundError:
        raise NotFound(f"There is no library in {folder}", where=str(folder)) from None
    except ValidationError:
        raise IntegrityError(
            "The library's signature cannot be read", where=SIGNATURE, remedy=_REMEDY
        ) from None
    keys.verify(data, signature, f"The library {folder.name}")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        raise InvalidInput(
            "The library was built by another version", where=MANIFEST, remedy=_REMEDY
        ) from None
    for name in FILES:
        path = folder / name
        kept = manifest.files.get(name)
        if kept is None or not path.is_file():
            raise IntegrityError("A file of the library is missing", where=name, remedy=_REMEDY)
        if path.stat().st_size != kept.size or describe(path) != kept:
            raise IntegrityError(
                "A file of the library was truncated or altered", where=name, remedy=_REMEDY
            )
    return manifest
