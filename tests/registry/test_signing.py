"""Keys: made once, kept secret, and believed only when trusted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.registry.signing import (
    PROJECT,
    Keys,
    Signature,
    fingerprint,
    open_keys,
    private_pem,
    public_pem,
    read_private_key,
)

SITE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = Keys(SITE_KEY, {})


def test_a_site_makes_its_pair_once_and_keeps_the_private_half_private(tmp_path: Path) -> None:
    first, second = open_keys(tmp_path), open_keys(tmp_path)
    assert fingerprint(first.site.public_key()) == fingerprint(second.site.public_key())
    private = tmp_path / "keys" / "site.key"
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.read_bytes() == private_pem(first.site)
    assert (tmp_path / "keys" / "site.pem").read_bytes() == public_pem(first.site.public_key())
    assert sorted(path.name for path in private.parent.iterdir()) == ["site.key", "site.pem"]


def test_starts_that_race_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(open_keys, [tmp_path] * 8))
    assert len({fingerprint(k.site.public_key()) for k in keys}) == 1


def test_the_project_and_the_operators_keys_are_trusted(tmp_path: Path) -> None:
    maker = Ed25519PrivateKey.generate()
    keys = open_keys(tmp_path)
    signature = keys.sign(b"data", maker)
    with pytest.raises(IntegrityError, match="unknown signer") as error:
        keys.verify(b"data", signature, "the manifest")
    assert "keys/trusted" in str(error.value.remedy)

    (tmp_path / "keys" / "trusted").mkdir()
    (tmp_path / "keys" / "trusted" / "maker.pem").write_bytes(public_pem(maker.public_key()))
    keys = open_keys(tmp_path)
    keys.verify(b"data", signature, "the manifest")
    assert {trusted.owner for trusted in keys.trusted.values()} == {
        f"{PROJECT} (2026)",
        "this site",
        "maker",
    }


@given(data=st.binary(max_size=100), flip=st.integers(0, 511))
def test_a_signature_with_any_bit_flipped_is_wrong(data: bytes, flip: int) -> None:
    signature = KEYS.sign(data)
    KEYS.verify(data, signature, "it")
    value = bytearray.fromhex(signature.value)
    value[flip // 8] ^= 1 << flip % 8
    with pytest.raises(IntegrityError, match="wrong signature"):
        KEYS.verify(data, Signature(signer=signature.signer, value=value.hex()), "it")
    with pytest.raises(IntegrityError, match="wrong signature"):
        KEYS.verify(data + b"!", signature, "it")


@pytest.mark.parametrize("content", [b"", b"no key", public_pem(SITE_KEY.public_key())])
def test_a_file_that_is_no_private_key_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="not an Ed25519 private key") as error:
        read_private_key(path)
    assert error.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"no key", private_pem(SITE_KEY)])
def test_a_trusted_file_that_is_no_public_key_is_named(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "keys" / "trusted"
    folder.mkdir(parents=True)
    (folder / "wrong.pem").write_bytes(content)
    with pytest.raises(InvalidInput, match="not an Ed25519 public key") as error:
        open_keys(tmp_path)
    assert "wrong.pem" in str(error.value.where)
