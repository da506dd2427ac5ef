"""What a registry promises, on SQLite and on PostgreSQL alike."""

import multiprocessing
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polyclinic.core.errors import Conflict, IntegrityError, InvalidInput, NotFound
from polyclinic.core.settings import Settings
from polyclinic.registry.store import ModelVersion, Registry, open_registry
from polyclinic.registry.tables import EvaluationRow, ModelVersionRow
from sample_model import DATASET, sample_evaluation, sample_files, sample_manifest


def add(registry: Registry, bias: float = 0.0, name: str = "chest-xray-pneumonia") -> ModelVersion:
    files = sample_files(bias)
    return registry.add(sample_manifest(files, name), files)


def blob_path(registry: Registry, digest: str) -> Path:
    return Path(registry.blobs.url.removeprefix("file://")) / digest[:2] / digest[2:]


def test_a_version_comes_back_as_it_went_in(registry: Registry) -> None:
    files = sample_files()
    manifest = sample_manifest(files)
    added = registry.add(manifest, files)
    found = registry.resolve(f"chest-xray-pneumonia@{added.version}")
    assert found == added
    assert found.manifest == manifest
    assert registry.load(found) == files
    assert found.identity.digest.startswith(found.version)
    assert len(found.version) == 12


def test_the_same_manifest_twice_is_one_version(registry: Registry) -> None:
    assert add(registry) == add(registry)
    assert len(registry.versions()) == 1
    assert len(registry.approvals()) == 1


def test_the_first_version_is_candidate_and_only_a_person_makes_a_champion(
    registry: Registry,
) -> None:
    first, second = add(registry, 1), add(registry, 2)
    assert registry.resolve("chest-xray-pneumonia@candidate") == first
    with pytest.raises(NotFound, match="no champion") as error:
        registry.resolve("chest-xray-pneumonia")
    assert first.version in str(error.value.remedy)
    assert second.version in str(error.value.remedy)

    registry.promote(str(first), by="Dr Grey", reason="Reviewed")
    registry.promote(str(second), by="Dr Grey", reason="Better on the wards")
    assert registry.resolve("chest-xray-pneumonia") == second
    assert registry.resolve("chest-xray-pneumonia@champion") == second
    aliases = {approval.alias: approval for approval in registry.aliases()}
    assert {alias: a.model_digest for alias, a in aliases.items()} == {
        "champion": second.digest,
        "candidate": first.digest,
    }
    assert aliases["champion"].by == "Dr Grey"
    assert aliases["champion"].reason == "Better on the wards"
    assert [a.model_digest for a in registry.approvals()] == [
        first.digest,
        first.digest,
        second.digest,
    ]


def test_an_unknown_reference_tells_what_there_is(registry: Registry) -> None:
    with pytest.raises(NotFound) as error:
        registry.resolve("nothing")
    assert "none yet" in str(error.value.remedy)
    version = add(registry)
    with pytest.raises(NotFound) as error:
        registry.resolve("nothing")
    assert "chest-xray-pneumonia" in str(error.value.remedy)
    with pytest.raises(NotFound, match="has no version 000000") as error:
        registry.resolve("chest-xray-pneumonia@000000")
    assert version.version in str(error.value.remedy)


@pytest.mark.parametrize(
    "text", ["", "A B", "name@", "name@latest", "name@12345", "name@%", "a@b@c"]
)
def test_text_that_is_no_reference_is_refused(registry: Registry, text: str) -> None:
    with pytest.raises(InvalidInput, match="not a reference"):
        registry.resolve(text)


def copy_as(registry: Registry, digest: str) -> None:
    """Copy the only row to a row of another digest, which no manifest in reach would have."""
    with registry.engine.begin() as connection:
        row = connection.execute(sa.select(*sa.inspect(ModelVersionRow).columns)).one()
        connection.execute(sa.insert(ModelVersionRow).values({**row._mapping, "digest": digest}))


def test_an_ambiguous_prefix_is_refused(registry: Registry) -> None:
    version = add(registry)
    twin = version.digest[:8] + "0" * 56
    copy_as(registry, twin)
    with pytest.raises(Conflict, match="several versions"):
        registry.resolve(f"chest-xray-pneumonia@{twin[:6]}")
    assert registry.resolve(f"chest-xray-pneumonia@{version.version}") == version


@pytest.mark.parametrize("digits", ["abcdef", "123456", "facade" * 10 + "cafe"])
def test_digits_may_be_letters_or_numerals_alone(registry: Registry, digits: str) -> None:
    add(registry)
    copy_as(registry, digits.ljust(64, "0"))
    assert registry.resolve(f"chest-xray-pneumonia@{digits}").digest.startswith(digits)


def test_files_that_are_not_the_manifests_leave_nothing_listed(registry: Registry) -> None:
    files = sample_files()
    manifest = sample_manifest(files)
    with pytest.raises(IntegrityError, match=r"network\.onnx"):
        registry.add(manifest, {**files, "network.onnx": sample_files(9)["network.onnx"]})
    with pytest.raises(IntegrityError, match=r"reference\.bin"):
        registry.add(manifest, {"network.onnx": files["network.onnx"]})
    with pytest.raises(IntegrityError, match="more"):
        registry.add(manifest, {**files, "more": b""})
    assert registry.versions() == []
    assert registry.approvals() == []


def test_a_manifest_that_could_not_be_read_back_is_refused(registry: Registry) -> None:
    files = sample_files()
    with pytest.raises(IntegrityError, match=r"training\.loss"):
        registry.add(sample_manifest(files, training={"loss": float("nan")}), files)
    with pytest.raises(IntegrityError, match="unknown format version 2"):
        registry.add(sample_manifest(files, format=2), files)
    assert registry.versions() == []


def test_an_untrusted_signer_adds_nothing(registry: Registry) -> None:
    files = sample_files()
    with pytest.raises(IntegrityError, match="unknown signer"):
        registry.add(sample_manifest(files), files, Ed25519PrivateKey.generate())
    assert registry.versions() == []


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_a_damaged_blob_refuses_its_version_by_name_and_no_other(
    registry: Registry, damage: str
) -> None:
    damaged, whole = add(registry, 1), add(registry, 2)
    path = blob_path(registry, damaged.manifest.artefacts["network.onnx"].digest)
    data = path.read_bytes()
    if damage == "altered":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "truncated":
        path.write_bytes(data[:-1])
    else:
        path.unlink()

    refused = re.escape(str(damaged)) + r".*network\.onnx.*(missing|truncated or altered)"
    with pytest.raises(IntegrityError, match=refused):
        registry.load(damaged)
    with pytest.raises(IntegrityError, match="refused"):
        registry.promote(str(damaged), by="x", reason="y")
    assert set(registry.versions()) == {damaged, whole}
    assert registry.load(whole) == sample_files(2)

    add(registry, 1)  # The same again repairs it.
    assert registry.load(damaged) == sample_files(1)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("document", b'{"format": 1}', "manifest of .* was altered"),
        ("name", "stolen-name", "manifest of .* was altered"),
        ("signature", "00" * 64, "wrong signature"),
        ("signature", "not hexadecimal", "wrong signature"),
        ("signer", "00" * 32, "unknown signer"),
    ],
)
def test_an_altered_row_is_refused_and_stays_listed(
    registry: Registry, column: str, value: object, reason: str
) -> None:
    damaged, whole = add(registry, 1), add(registry, 2)
    with registry.engine.begin() as connection:
        where = ModelVersionRow.digest == damaged.digest
        connection.execute(sa.update(ModelVersionRow).where(where).values({column: value}))
    listed = {version.digest: version for version in registry.versions()}
    assert listed.keys() == {damaged.digest, whole.digest}
    with pytest.raises(IntegrityError, match=reason):
        registry.load(listed[damaged.digest])
    assert registry.load(whole) == sample_files(2)


def test_evaluations_are_kept_once_and_in_order(registry: Registry) -> None:
    version, other = add(registry, 1), add(registry, 2)
    later = sample_evaluation("external", time=sample_evaluation().time.replace(year=2027))
    for evaluation in (later, sample_evaluation("test"), later):
        registry.record_evaluation(version, evaluation)
    assert registry.evaluations(version) == [sample_evaluation("test"), later]
    assert registry.evaluations(other) == []


def test_an_altered_evaluation_is_refused(registry: Registry) -> None:
    version = add(registry)
    registry.record_evaluation(version, sample_evaluation("test"))
    better = sample_evaluation("test", auc=0.99).model_dump_json().encode()
    with registry.engine.begin() as connection:
        connection.execute(sa.update(EvaluationRow).values(document=better))
    with pytest.raises(IntegrityError, match="altered"):
        registry.evaluations(version)


def test_every_opening_of_a_test_part_counts_for_any_model(registry: Registry) -> None:
    first, second = add(registry, 1), add(registry, 2)
    assert registry.open_test(first, DATASET, "Ada") == 1
    assert registry.open_test(second, DATASET, "Ada") == 2
    assert registry.open_test(first, "0" * 64, "Ada") == 1
    openings = registry.test_openings(DATASET)
    assert [opening.model_digest for opening in openings] == [first.digest, second.digest]
    assert all(opening.time.tzinfo for opening in openings)


def test_openings_that_race_are_counted_apart(registry: Registry) -> None:
    version = add(registry)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: registry.open_test(version, DATASET, "Ada"), range(12)))
    assert sorted(counts) == list(range(1, 13))


def test_what_is_not_here_is_not_measured(registry: Registry, other_site: Registry) -> None:
    version = add(other_site)
    with pytest.raises(NotFound, match=version.version):
        registry.record_evaluation(version, sample_evaluation("test"))
    with pytest.raises(NotFound):
        registry.open_test(version, DATASET, "Ada")


def test_resolving_is_cheap(registry: Registry) -> None:
    version = add(registry)
    registry.promote(str(version), by="x", reason="y")
    times = []
    for _ in range(50):
        start = time.perf_counter()
        registry.resolve("chest-xray-pneumonia")
        times.append(time.perf_counter() - start)
    # Under 1 ms on a quiet machine; the bound leaves room for a busy one.
    assert sorted(times)[5] < 0.005


def _add_in_process(home: Path, url: str, bias: float) -> str:
    return str(add(open_registry(Settings(home=home, database_url=url)), bias))


def test_processes_that_start_at_once_on_nothing_all_succeed(
    database_url: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        jobs = [(home, database_url, bias) for bias in (1.0, 2.0, 3.0, 1.0)]
        added = pool.starmap(_add_in_process, jobs, chunksize=1)
    registry = open_registry(Settings(home=home, database_url=database_url))
    assert {str(version) for version in registry.versions()} == set(added)
    assert len(set(added)) == 3
    assert len(registry.approvals()) == 1
    for version in registry.versions():
        registry.load(version)
