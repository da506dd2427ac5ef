"""SHA-256 digests, the identity of every file, input and model."""

import hashlib


def sha256(data: bytes) -> str:
    """The SHA-256 digest of `data` as 64 hexadecimal digits (FIPS 180-4)."""
    return hashlib.sha256(data).hexdigest()
