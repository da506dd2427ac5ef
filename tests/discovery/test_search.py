"""Libraries of molecules: built, opened, and searched for what is alike and what holds a motif."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdSubstructLibrary
from rdkit.DataStructs import BulkTanimotoSimilarity
from rdkit.rdBase import BlockLogs

from polyclinic.core.errors import (
    Conflict,
    InputTooLarge,
    IntegrityError,
    InvalidInput,
    NotFound,
    PolyclinicError,
)
from polyclinic.discovery.molecules import Record, Rejected, Standard, records
from polyclinic.discovery.search import similar
from polyclinic.discovery.search.answer import SearchRequest
from polyclinic.discovery.search.build import MOST_COLUMNS, REJECTED, build_library
from polyclinic.discovery.search.fingerprints import (
    choose_folds,
    fold,
    morgan_words,
    sort_table,
    table,
)
from polyclinic.discovery.search.library import Library
from polyclinic.discovery.search.manifest import FILES, MANIFEST, Manifest
from polyclinic.registry.signing import Keys, open_keys

#: Each ends where the next begins, so that a row of them is a SMILES.
PARTS = (
    *("C", "CC", "O", "N", "C(=O)N", "C(=O)O", "S(=O)(=O)N", "C(F)(F)", "C(C)(C)", "C#C"),
    *("c1ccc(cc1)", "c1cnc(nc1)", "C1CCN(CC1)", "c1cc(oc1)", "C1CC(CO1)", "c1ccc2c(c1)ccc(n2)"),
)
AS_IT_IS = Standard(strip_salts=False, neutralise=False)


def smiles() -> list[str]:
    """Molecules that differ, the small ones first."""
    made = ("".join(parts) for n in (2, 3) for parts in itertools.product(PARTS, repeat=n))
    with BlockLogs():
        found = [Chem.MolFromSmiles(text) for text in made]
    return list(dict.fromkeys(Chem.MolToSmiles(one) for one in found if one is not None))[:3000]


ALL = smiles()


def lattice(n: int) -> Chem.Mol:
    """Carbons in n rows of n, in which the ways of a path cannot be counted."""
    sheet = Chem.RWMol()
    for place in range(n * n):
        sheet.AddAtom(Chem.Atom("C"))
        if place % n:
            sheet.AddBond(place, place - 1, Chem.BondType.SINGLE)
        if place >= n:
            sheet.AddBond(place, place - n, Chem.BondType.SINGLE)
    return sheet.GetMol()


def written(texts: Sequence[str] = ALL) -> Iterator[Record | Rejected]:
    """As they would stand in a file, with two lines that are no molecules."""
    for number, text in enumerate(texts):
        columns = {"length": len(text), "price": None if number % 3 else number / 8}
        yield Record(f"library.csv:{number + 2}", text, f"L-{number}", columns)
        if number == 1:
            yield Record("library.csv:999", "C1CC")
            yield Rejected("library.csv:1000", "", "no line")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return open_keys(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    folder = tmp_path_factory.mktemp("libraries") / "parts"
    build_library(written(), folder, keys, standard=AS_IT_IS)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, keys: Keys) -> Iterator[Library]:
    with Library(folder, keys) as library:
        yield library


@pytest.fixture(scope="module")
def alike() -> Callable[[Chem.Mol], np.ndarray]:
    """Every molecule's similarity to one, by RDKit."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in ALL]

    def similarities(query: Chem.Mol) -> np.ndarray:
        own = generator.GetFingerprint(query)
        return np.array(BulkTanimotoSimilarity(own, prints), np.float32)

    return similarities


def request(kind: str, *queries: str, **more: object) -> SearchRequest:
    content = {"library": "parts", "kind": kind, "queries": queries, **more}
    return SearchRequest.model_validate(content)


# Similar molecules.


@pytest.mark.parametrize("fewest", [similar._FEWEST, 24], ids=["whole table", "folded table"])
@given(
    place=st.integers(0, len(ALL) - 1),
    tail=st.sampled_from(["", "C", "CCO", ".O", "c1ccsc1"]),
    k=st.integers(1, 40),
    least=st.sampled_from([0.0, 0.25, 0.5, 0.6, 0.7, 1.0]),
)
@settings(deadline=None, max_examples=40)
def test_the_most_similar_are_those_of_every_molecule_compared(
    library: Library,
    alike: Callable[[Chem.Mol], np.ndarray],
    fewest: int,
    place: int,
    tail: str,
    k: int,
    least: float,
) -> None:
    query = Chem.MolFromSmiles(ALL[place] + tail) or Chem.MolFromSmiles(tail or "C")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "_FEWEST", fewest)
        found = library.similar([query], k, least)[0]
    truth = alike(query)
    best = np.sort(truth[truth >= np.float32(least)])[::-1][:k]
    np.testing.assert_array_equal(found.similarities, best)
    np.testing.assert_array_equal(truth[found.rows], best)
    assert len(set(found.rows.tolist())) == len(found.rows)


def test_the_folded_table_is_used_where_it_is_enough(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "_FEWEST", 24)
    searched: list[int] = []
    search = similar._search

    def watched(query: np.ndarray, rows: np.ndarray, *more: float) -> np.ndarray:
        searched.append(rows.shape[1] * (more[-1] - more[-2]))
        return search(query, rows, *more)

    monkeypatch.setattr(similar, "_search", watched)
    whole = len(library) * 34
    queries = [Chem.MolFromSmiles(text) for text in ALL[::100]]
    work = []
    for query in queries:
        searched.clear()
        library.similar([query], 3)
        work.append(sum(searched) < whole / 2)
    assert np.mean(work) > 0.5


@given(
    bits=st.lists(st.sets(st.integers(0, 2047), max_size=400), min_size=2, max_size=12),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_no_two_molecules_share_more_bits_than_the_folded_table_says(
    bits: list[set[int]], seed: int
) -> None:
    dense = np.zeros((len(bits), 2048), np.uint8)
    for row, own in zip(dense, bits, strict=True):
        row[list(own)] = 1
    sample = np.random.default_rng(seed).random((20, 2048)) < 0.05
    folds = choose_folds(np.packbits(sample, axis=1, bitorder="little").view(np.uint64))
    rows = table(np.packbits(dense, axis=1, bitorder="little").view(np.uint64))
    folded = fold(rows, folds)
    assert set(folds) == set(range(256))
    for query in range(len(rows)):
        if int(folded[query, -2]).bit_count() == similar.MOST_SURPLUS:
            continue  # such a query is not screened
        for other in range(len(rows)):
            bound = np.bitwise_count(folded[query, 1:-1] & folded[other, 1:-1]).sum()
            assert bound >= len(bits[query] & bits[other])


def test_many_queries_together_are_answered_as_alone(folder: Path, keys: Keys) -> None:
    queries = [Chem.MolFromSmiles(text) for text in ALL[::150]]
    with Library(folder, keys) as one, Library(folder, keys, threads=2) as two:
        together, threaded = one.similar(queries, 7), two.similar(queries, 7)
        for query, whole, other in zip(queries, together, threaded, strict=True):
            alone = one.similar([query], 7)[0]
            for found in (whole, other):
                np.testing.assert_array_equal(found.rows, alone.rows)
                np.testing.assert_array_equal(found.similarities, alone.similarities)


def test_hits_come_with_name_and_the_columns_asked_for(library: Library) -> None:
    answer = library.search(request("similar", ALL[300], ALL[301], k=2, columns=["price"]))
    assert answer.library.molecules == len(ALL)
    assert answer.library.columns == ("length", "price")
    first, second = (one.hits[0] for one in answer.found)
    assert (first.id, first.smiles, first.name) == (300, ALL[300], "L-300")
    assert first.similarity == 1.0
    assert (first.properties, second.properties) == ({"price": 37.5}, {"price": None})


def test_a_query_is_standardised_as_the_library_is(tmp_path: Path, keys: Keys) -> None:
    texts = ["CC(=O)O", "CCO", "CCN"]
    build_library(written(texts), tmp_path / "acids", keys)
    with Library(tmp_path / "acids", keys) as library:
        salt = library.search(request("similar", "CC(=O)[O-].[Na+]", k=1)).found[0]
    assert (salt.hits[0].smiles, salt.hits[0].similarity) == ("CC(=O)O", 1.0)


# Motifs.


@pytest.mark.parametrize(
    "motif",
    ["c1ccccc1", "[R2]", "[NX3;H2]", "C(=O)[$([NX3;H1]),$([OX2])]", "[#6;^1]", "F", "[Pt]", "*~*"],
)
def test_motifs_are_found_where_substructlibrary_finds_them(library: Library, motif: str) -> None:
    holder = rdSubstructLibrary.MolHolder()
    rival = rdSubstructLibrary.SubstructLibrary(holder, rdSubstructLibrary.PatternHolder())
    for text in ALL:
        rival.AddMol(Chem.MolFromSmiles(text))
    query = Chem.MolFromSmarts(motif)
    truth = sorted(rival.GetMatches(query, numThreads=1, maxResults=len(ALL)))
    found = library.substructure(motif, k=len(ALL), seconds=60)
    assert found.rows.tolist() == truth
    assert (found.searched, found.complete) == (len(ALL), True)
    if len(truth) > 5:
        first = library.substructure(motif, k=5, seconds=60)
        assert (first.rows.tolist(), first.searched) == (truth[:5], truth[4] + 1)


def test_several_threads_find_the_first_that_hold_a_motif(folder: Path, keys: Keys) -> None:
    with Library(folder, keys) as one, Library(folder, keys, threads=3) as three:
        for k in (7, 900):
            alone, together = (each.substructure("C(=O)N", k, 60) for each in (one, three))
            assert together.rows.tolist() == alone.rows.tolist()
            assert together.searched == alone.searched


def test_a_search_for_a_motif_that_takes_forever_ends_in_time(tmp_path: Path, keys: Keys) -> None:
    texts = ["CCO", "c1ccccc1", Chem.MolToSmiles(lattice(8)), "CCCCN"]
    build_library(written(texts), tmp_path / "sheet", keys)
    path = "~".join("*" * 60)
    with Library(tmp_path / "sheet", keys) as library:
        library.substructure("C", seconds=60)
        begun = time.monotonic()
        found = library.search(request("substructure", f"{path}~[!#6]", seconds=0.5)).found
        assert time.monotonic() - begun < 3
        assert "time was over" in (found[0].problem or "")
        assert library.substructure("N", seconds=60).rows.tolist() == [3]


def test_what_was_found_before_the_time_was_over_is_told(library: Library) -> None:
    found = library.substructure("C", k=len(ALL), seconds=1e-9)
    assert (found.complete, found.searched, len(found.rows)) == (False, 0, 0)


# What cannot be answered.


@pytest.mark.parametrize(
    "motif", ["", "C(", "[$([$(", "Q", "C" * 2001, "C" * 1999, "[$(" * 9 + "C" + ")]" * 9]
)
def test_what_is_no_smarts_or_passes_a_limit_is_refused_at_once(
    library: Library, motif: str
) -> None:
    library.substructure("[Pt]", seconds=60)
    begun = time.monotonic()
    with pytest.raises(InvalidInput):
        library.substructure(motif)
    assert time.monotonic() - begun < 1


def test_a_query_that_fails_does_so_alone(library: Library) -> None:
    library.substructure("[Pt]", seconds=60)
    begun = time.monotonic()
    huge = "C" * 100_000
    answer = library.search(request("similar", ALL[7], huge, "C" * 4999, "C1CC(", ALL[8], k=1))
    assert [one.problem is None for one in answer.found] == [True, False, False, False, True]
    assert [one.hits[0].id for one in answer.found if one.hits] == [7, 8]
    assert len(answer.found[1].query) < 100
    answer = library.search(request("substructure", "Q(", huge, "C1CCNCC1", k=1))
    assert [one.problem is None for one in answer.found] == [False, False, True]
    assert time.monotonic() - begun < 1


def test_requests_past_a_limit_are_refused(library: Library) -> None:
    for wrong in (
        {"k": 10**9},
        {"k": 0},
        {"least": 1.5},
        {"least": float("nan")},
        {"seconds": 1e9},
        {"queries": ["C"] * 257},
    ):
        with pytest.raises(ValueError, match="validation error"):
            request("similar", "C", **wrong)
    with pytest.raises(InputTooLarge):
        library.similar([Chem.MolFromSmiles("C")], k=10**9)
    with pytest.raises(InputTooLarge):
        library.substructure("C", k=10**9)
    with pytest.raises(InvalidInput, match="nan"):
        library.similar([Chem.MolFromSmiles("C")], least=float("nan"))
    with pytest.raises(InvalidInput, match="no column 'prize'"):
        library.search(request("similar", "C", columns=["prize"]))


# Building and opening.


def test_what_was_refused_is_told_with_its_place(folder: Path, library: Library) -> None:
    assert (library.manifest.rejected, len(library)) == (2, len(ALL))
    lines = (folder / REJECTED).read_text().splitlines()
    assert lines[1].startswith("library.csv:999,")
    assert lines[2] == "library.csv:1000,no line,"


def test_a_library_is_built_from_a_file_with_its_columns(tmp_path: Path, keys: Keys) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("smiles,name,id,id_,stock\nCCO,ethanol,7,8,3\nC1C,,,,\nOC(=O)C,acid,9,,\n")
    built = build_library(records(file), tmp_path / "stock", keys)
    assert built.rejected == 1
    with Library(tmp_path / "stock", keys) as library:
        hit = library.search(request("similar", "OCC", k=1, columns=built.columns)).found[0].hits[0]
    assert (hit.id, hit.smiles, hit.name) == (0, "CCO", "ethanol")
    assert {str(value) for value in hit.properties.values()} == {"7", "8", "3"}


def test_a_build_by_several_processes_is_the_same(
    tmp_path: Path, keys: Keys, library: Library
) -> None:
    seen: list[str] = []
    built = build_library(
        written(),
        tmp_path / "parts",
        keys,
        standard=AS_IT_IS,
        processes=2,
        progress=lambda told: seen.append(f"{told.step} {told.molecules}"),
    )
    assert built.files == library.manifest.files
    assert seen[:2] == ["molecules 1998", f"molecules {len(ALL)}"]
    assert seen[-1] == f"whole {len(ALL)}"


def test_a_table_in_order_is_that_of_all_rows_sorted(tmp_path: Path) -> None:
    words = morgan_words([Chem.MolFromSmiles(text) for text in ALL[:500]])
    rows = table(words)
    (tmp_path / "raw").write_bytes(rows.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyclinic.discovery.search.fingerprints._BLOCK", 77)
        ordered = sort_table(tmp_path / "raw", rows.shape[1], tmp_path / "rows.npy")
    np.testing.assert_array_equal(ordered, rows[np.argsort(rows[:, -1], kind="stable")])


def test_a_build_that_is_broken_off_leaves_nothing(tmp_path: Path, keys: Keys) -> None:
    def broken() -> Iterator[Record | Rejected]:
        yield from written(ALL[:50])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_library(broken(), tmp_path / "broken", keys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_build_that_is_killed_leaves_no_library_and_no_process(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(
        "import itertools, pathlib, sys\n"
        "from polyclinic.discovery.molecules import Record\n"
        "from polyclinic.discovery.search.build import build_library\n"
        "from polyclinic.registry.signing import open_keys\n"
        "if __name__ == '__main__':\n"
        "    here = pathlib.Path(sys.argv[1])\n"
        "    endless = (Record('', 'CCO') for _ in itertools.count())\n"
        "    build_library(endless, here / 'endless', open_keys(here / 'site'), processes=2,\n"
        "                  progress=lambda told: print(told.step, flush=True))\n"
    )
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == b"molecules\n"
        workers = psutil.Process(build.pid).children(recursive=True)
        build.kill()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    assert not (tmp_path / "endless").exists()


def test_no_library_is_built_over_another_or_of_nothing(
    tmp_path: Path, folder: Path, keys: Keys
) -> None:
    with pytest.raises(Conflict):
        build_library(written(), folder, keys)
    with pytest.raises(InvalidInput, match="No molecule"):
        build_library([Rejected("a.smi:1", "?", "no SMILES")], tmp_path / "none", keys)
    wide = Record("a.sdf:1", "C", columns={str(n): n for n in range(MOST_COLUMNS + 1)})
    with pytest.raises(InvalidInput, match="columns"):
        build_library([wide], tmp_path / "wide", keys)
    assert list(tmp_path.iterdir()) == []


def test_columns_of_several_kinds_come_together(tmp_path: Path, keys: Keys) -> None:
    own = ({"x": 1}, {"x": 2.5, "y": "a"}, {}, {"x": None, "z": True})
    rows = [Record("", "C" * n, columns=own[n - 1]) for n in (1, 2, 3, 4)]
    build_library(rows, tmp_path / "c", keys)
    with Library(tmp_path / "c", keys) as library:
        found = library.table(np.arange(4), ["x", "y", "z"])
    assert found["x"].to_list() == [1.0, 2.5, None, None]
    assert found["y"].to_list() == [None, "a", None, None]
    assert found["z"].to_list() == [None, None, None, True]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "parts"
    copied.mkdir()
    for file in folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    return copied


@pytest.mark.parametrize("file", [*FILES, MANIFEST])
def test_a_file_that_was_altered_or_lost_is_refused(copy: Path, keys: Keys, file: str) -> None:
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    for wrong in (bytes(data), bytes(data[:-1])):
        (copy / file).write_bytes(wrong)
        with pytest.raises(IntegrityError):
            Library(copy, keys)
    (copy / file).unlink()
    with pytest.raises((IntegrityError, NotFound)):
        Library(copy, keys)


def test_a_library_of_an_unknown_site_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="unknown signer"):
        Library(copy, open_keys(tmp_path / "another"))


def test_a_manifest_that_was_made_to_fit_an_altered_file_is_refused(copy: Path, keys: Keys) -> None:
    data = (copy / FILES[0]).read_bytes() + b"\0"
    (copy / FILES[0]).write_bytes(data)
    manifest = Manifest.model_validate_json((copy / MANIFEST).read_bytes())
    from polyclinic.discovery.search.manifest import describe

    fitted = {**manifest.files, FILES[0]: describe(copy / FILES[0])}
    (copy / MANIFEST).write_text(manifest.model_copy(update={"files": fitted}).model_dump_json())
    with pytest.raises(IntegrityError, match="wrong signature"):
        Library(copy, keys)


def test_there_is_no_library_where_there_is_none(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(NotFound):
        Library(tmp_path, keys)
    assert issubclass(NotFound, PolyclinicError)
