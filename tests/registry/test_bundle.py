"""Bundles: what goes in comes out elsewhere; what was touched is refused, with its reason."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, NotFound, Unavailable
from polyclinic.core.settings import Settings
from polyclinic.registry.bundle import bundle_name, export_bundle, import_bundle
from polyclinic.registry.signing import public_pem
from polyclinic.registry.store import ModelVersion, Registry, open_registry
from sample_model import DATASET, sample_evaluation, sample_files, sample_manifest


def trust(site: Registry, home: Path, maker: Registry) -> Registry:
    """`site`, opened again with the public key of `maker` among its trusted keys."""
    folder = home / "keys" / "trusted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "maker.pem").write_bytes(public_pem(maker.keys.site.public_key()))
    return open_registry(Settings(home=home))


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return open_registry(Settings(home=tmp_path_factory.mktemp("maker")))


@pytest.fixture(scope="module")
def version(maker: Registry) -> ModelVersion:
    files = sample_files()
    version = maker.add(sample_manifest(files), files)
    maker.open_test(version, DATASET, "Ada")
    maker.record_evaluation(version, sample_evaluation("test"))
    return version


@pytest.fixture(scope="module")
def bundle(maker: Registry, version: ModelVersion) -> Path:
    path = Path(maker.blobs.url.removeprefix("file://")).parent / bundle_name(version)
    export_bundle(maker, version, path)
    return path


@pytest.fixture
def site(maker: Registry, other_site: Registry, tmp_path: Path) -> Registry:
    """Another site that trusts the maker."""
    return trust(other_site, tmp_path / "other", maker)


@pytest.fixture
def full_site(site: Registry) -> Iterator[Registry]:
    """The same, with a model that must survive whatever the test does."""
    files = sample_files(5)
    mine = site.add(sample_manifest(files, "mine"), files)
    yield site
    assert site.versions() == [mine]
    assert site.load(mine) == files


def rewritten(bundle: Path, change: Callable[[dict[str, bytes]], None], path: Path) -> Path:
    """The bundle with its members changed, at `path`."""
    with zipfile.ZipFile(bundle) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    return path


def test_a_version_travels_with_its_history(
    maker: Registry, version: ModelVersion, bundle: Path, registry: Registry, tmp_path: Path
) -> None:
    site = Registry(registry.engine, registry.blobs, maker.keys)
    imported = import_bundle(site, bundle)
    assert imported == version
    assert site.load(site.resolve(str(version))) == sample_files()
    assert site.evaluations(imported) == [sample_evaluation("test")]
    assert site.test_openings(DATASET) == maker.test_openings(DATASET)
    assert site.resolve("chest-xray-pneumonia@candidate") == version

    import_bundle(site, bundle)
    assert len(site.evaluations(imported)) == 1
    assert site.open_test(imported, DATASET, "Grace") == 2

    again = tmp_path / "again.polyclinic"
    export_bundle(maker, version, again)
    assert again.read_bytes() == bundle.read_bytes()


def test_the_file_is_named_after_the_version(version: ModelVersion) -> None:
    assert bundle_name(version) == f"chest-xray-pneumonia-{version.version}.polyclinic"


def test_a_maker_whose_key_is_not_trusted_is_refused(bundle: Path, other_site: Registry) -> None:
    with pytest.raises(IntegrityError, match=r"manifest\.json .*unknown signer"):
        import_bundle(other_site, bundle)
    assert other_site.versions() == []


def _put(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: data})


def _swap(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return change


def _drop(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.pop(name) and None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("artefacts/network.onnx", b"other"), r"network\.onnx .* is not what its manifest"),
        (_put("artefacts/network.onnx", bytes(10**6)), r"network\.onnx has more than \d+ bytes"),
        (_put("manifest.json", bytes(9 * 2**20)), r"manifest\.json has more than"),
        (_put("manifest.sig", bytes(5000)), r"manifest\.sig has more than"),
        (_put("manifest.sig", b"{}"), r"manifest\.sig is no signature: signer"),
        (
            _swap("manifest.json", b"CC-BY", b"CC-BZ"),
            r"manifest\.json has a wrong signature",
        ),
        (_swap("history.json", b"Ada", b"Eve"), r"history\.json has a wrong signature"),
        (_put("history.json", b"{}"), r"history\.json has a wrong signature"),
        (_put("artefacts/more.bin", b""), r"artefacts/more\.bin' is unknown"),
        (_put("../evil", b""), r"\.\./evil' points outside"),
        (_put("artefacts/../../evil", b""), "points outside"),
        (_put("/etc/passwd", b""), "points outside"),
        (_put("..\\evil", b""), "points outside"),
        (_put("C:\\evil", b""), "points outside"),
        (_drop("manifest.json"), r"manifest\.json is missing"),
        (_drop("history.sig"), r"history\.sig is missing"),
        (_drop("artefacts/reference.bin"), r"artefacts/reference\.bin is missing"),
    ],
)
def test_a_bundle_that_was_changed_is_refused_with_its_reason(
    bundle: Path,
    full_site: Registry,
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    reason: str,
) -> None:
    path = rewritten(bundle, change, tmp_path / "changed.polyclinic")
    with pytest.raises(IntegrityError, match=r"changed\.polyclinic: .*" + reason):
        import_bundle(full_site, path)


def _signed(
    maker: Registry, name: str, value: Mapping[str, object]
) -> Callable[[dict[str, bytes]], None]:
    """Put in a document that the maker did sign."""

    def change(members: dict[str, bytes]) -> None:
        document = json.dumps({**json.loads(members[f"{name}.json"]), **value}).encode()
        members[f"{name}.json"] = document
        members[f"{name}.sig"] = maker.keys.sign(document).model_dump_json().encode()

    return change


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("manifest", {"format": 2}, "manifest has the unknown format version 2"),
        ("manifest", {"surprise": 1}, "surprise: Extra inputs"),
        ("manifest", {"name": "../evil"}, "name: String should match"),
        ("manifest", {"artefacts": {"../evil": {"digest": "0" * 64, "size": 1}}}, "artefacts"),
        ("manifest", {"artefacts": {}}, "is unknown"),
        ("history", {"format": 7}, "history has the unknown format version 7"),
        ("history", {"model_digest": "0" * 64}, "history is that of another model"),
        ("history", {"evaluations": [{}]}, r"history is not as it must be: evaluations\.0"),
    ],
)
def test_even_a_trusted_maker_cannot_send_what_is_not_understood(
    maker: Registry,
    bundle: Path,
    full_site: Registry,
    tmp_path: Path,
    name: str,
    value: Mapping[str, object],
    reason: str,
) -> None:
    path = rewritten(bundle, _signed(maker, name, value), tmp_path / "changed.polyclinic")
    with pytest.raises(IntegrityError, match=reason):
        import_bundle(full_site, path)


def test_two_members_of_one_name_are_refused(
    bundle: Path, full_site: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "double.polyclinic"
    path.write_bytes(bundle.read_bytes())
    with zipfile.ZipFile(path, "a") as changed, pytest.warns(UserWarning, match="Duplicate"):
        changed.writestr("manifest.json", b"{}")
    with pytest.raises(IntegrityError, match=r"two members named manifest\.json"):
        import_bundle(full_site, path)


def test_too_many_members_are_refused(full_site: Registry, tmp_path: Path) -> None:
    path = tmp_path / "many.polyclinic"
    with zipfile.ZipFile(path, "w") as new:
        for number in range(1025):
            new.writestr(str(number), b"")
    with pytest.raises(IntegrityError, match="1025 members"):
        import_bundle(full_site, path)


def test_a_zip_bomb_is_not_unpacked(bundle: Path, full_site: Registry, tmp_path: Path) -> None:
    path = tmp_path / "bomb.polyclinic"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            bomb = name.startswith("artefacts/")
            new.writestr(name, bytes(64 * 2**20) if bomb else old.read(name))
    assert path.stat().st_size < 10**6
    with pytest.raises(IntegrityError, match="has more than"):
        import_bundle(full_site, path)


def test_other_ways_of_packing_are_refused(
    bundle: Path, full_site: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "lzma.polyclinic"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(IntegrityError, match="packed in an unknown way"):
        import_bundle(full_site, path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 50])
def test_what_is_no_zip_is_refused(full_site: Registry, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.polyclinic"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"not a whole \.polyclinic file"):
        import_bundle(full_site, path)


def test_a_file_that_is_not_there_is_not_found(full_site: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        import_bundle(full_site, tmp_path / "nothing.polyclinic")
    with pytest.raises(Unavailable):
        import_bundle(full_site, tmp_path)


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@SHARED
@given(data=st.data())
def test_a_truncated_bundle_is_refused(
    bundle: Path, full_site: Registry, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bundle.read_bytes()
    path = tmp_path / "cut.polyclinic"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(IntegrityError, match=r"cut\.polyclinic"):
        import_bundle(full_site, path)


@settings(SHARED, max_examples=400)
@given(data=st.data())
def test_any_byte_flipped_is_refused_or_changes_nothing_that_counts(
    bundle: Path, version: ModelVersion, maker: Registry, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(bundle.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "flipped.polyclinic"
    path.write_bytes(content)
    # Where it is not refused, only what carries no content was touched, such as a time stamp.
    with contextlib.suppress(IntegrityError):
        assert import_bundle(maker, path) == version
    assert maker.load(version) == sample_files()
    assert maker.evaluations(version) == [sample_evaluation("test")]
    assert len(maker.test_openings(DATASET)) == 1


def test_a_damaged_version_is_not_exported(other_site: Registry, tmp_path: Path) -> None:
    files = sample_files()
    version = other_site.add(sample_manifest(files), files)
    digest = sha256(files["network.onnx"])
    blobs = Path(other_site.blobs.url.removeprefix("file://"))
    (blobs / digest[:2] / digest[2:]).write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"network\.onnx"):
        export_bundle(other_site, version, tmp_path / "out.polyclinic")
    assert not (tmp_path / "out.polyclinic").exists()


def test_importing_again_repairs_a_damaged_version(
    bundle: Path, version: ModelVersion, site: Registry
) -> None:
    import_bundle(site, bundle)
    digest = version.manifest.artefacts["network.onnx"].digest
    blobs = Path(site.blobs.url.removeprefix("file://"))
    (blobs / digest[:2] / digest[2:]).unlink()
    import_bundle(site, bundle)
    assert site.load(version) == sample_files()


def test_a_bundle_holds_no_compressed_bytes_so_that_it_is_the_same_everywhere(
    bundle: Path,
) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as members:
        assert {member.compress_type for member in members.infolist()} == {zipfile.ZIP_STORED}
