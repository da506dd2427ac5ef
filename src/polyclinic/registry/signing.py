"""Ed25519 signatures (RFC 8032): a digest stops accidents, a signature stops people."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import Field

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput, Unavailable
from polyclinic.core.frozen import Frozen
from polyclinic.core.storage.blobs import write_atomic

PROJECT = "the Polyclinic project"
PROJECT_KEYS = Path(str(files("polyclinic.registry"))) / "project_keys"
SITE = "this site"


class Signature(Frozen):
    """Who signed, by key fingerprint, and the Ed25519 signature in hexadecimal."""

    signer: str = Field(pattern=r"^[0-9a-f]{64}$")
    value: str = Field(pattern=r"^[0-9a-f]{128}$")


@dataclass(frozen=True)
class TrustedKey:
    """A public key that this site believes, and whose it is."""

    owner: str
    key: Ed25519PublicKey


class Keys:
    """The site's own key, and every key whose signatures are believed, by fingerprint."""

    def __init__(self, site: Ed25519PrivateKey, trusted: Mapping[str, Ed25519PublicKey]) -> None:
        self.site = site
        own = {SITE: site.public_key()}
        self.trusted = {
            fingerprint(key): TrustedKey(owner, key) for owner, key in {**trusted, **own}.items()
        }

    def sign(self, data: bytes, signer: Ed25519PrivateKey | None = None) -> Signature:
        """Sign `data` by `signer`, or by the site's key."""
        key = signer or self.site
        return Signature(signer=fingerprint(key.public_key()), value=key.sign(data).hex())

    def verify(self, data: bytes, signature: Signature, what: str) -> None:
        """Raise `IntegrityError` unless a trusted key made `signature` over `data`.

        `what` names the signed thing in the error.
        """
        trusted = self.trusted.get(signature.signer)
        if trusted is None:
            raise IntegrityError(
                f"{what} is signed by an unknown signer, key {signature.signer[:16]}",
                where=what,
                remedy="If you trust its maker, ask for their keys/site.pem and put it into the"
                " folder keys/trusted of your POLYCLINIC_HOME.",
            )
        try:
            trusted.key.verify(bytes.fromhex(signature.value), data)
        except (InvalidSignature, ValueError):
            raise IntegrityError(
                f"{what} has a wrong signature: it was altered after {trusted.owner} signed it",
                where=what,
                remedy="Get it again from its maker.",
            ) from None


def fingerprint(key: Ed25519PublicKey) -> str:
    """The SHA-256 digest of the key's 32 raw bytes, in hexadecimal."""
    return sha256(key.public_bytes_raw())


def open_keys(home: Path) -> Keys:
    """The keys of the site whose home folder is `home`; its own pair is made at the first start.

    `keys/site.key` is the private half (mode 0600), `keys/site.pem` the public half, which other
    sites may put into their `keys/trusted/`. Raises `InvalidInput` naming a file that is no key.
    """
    folder = home / "keys"
    private, public = folder / "site.key", folder / "site.pem"
    try:
        if not private.exists():
            _make_private(private)
        site = read_private_key(private)
        if not public.exists():
            write_atomic(public, public_pem(site.public_key()))
        trusted = {
            f"{PROJECT} ({file.stem})": _public_key(file.read_bytes(), file.name)
            for file in sorted(PROJECT_KEYS.glob("*.pem"))
        }
        for file in sorted((folder / "trusted").glob("*.pem")):
            trusted[file.stem] = _public_key(file.read_bytes(), str(file))
    except OSError as error:
        raise Unavailable(
            f"The keys cannot be read or made: {error.strerror}",
            where=str(error.filename or folder),
            remedy="Let the user that runs Polyclinic read and write this folder.",
        ) from None
    return Keys(site, trusted)


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in the PEM file at `path`. Raises `InvalidInput` when it is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(
            "This is not an Ed25519 private key", where=str(path), remedy="Give a PEM PKCS8 file."
        )
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The key as PEM, the form in which sites exchange it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The key as unencrypted PEM PKCS8: keep it secret."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_key(pem: bytes, where: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(
            "This is not an Ed25519 public key", where=where, remedy="Replace or remove the file."
        )
    return key


def _make_private(path: Path) -> None:
    """Make the site's key; of processes that start together, one makes it and all use it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        draft = Path(folder) / path.name
        write_atomic(draft, private_pem(Ed25519PrivateKey.generate()), mode=0o600)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
