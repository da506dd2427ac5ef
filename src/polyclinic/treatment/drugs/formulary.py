"""The drugs that are known here: names, RxNorm ingredients, ATC codes, and how to find one."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from polyclinic.clinical.codes import ATC, RXNORM, known, spelled
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding
from polyclinic.treatment.drugs.names import Names

_HERE = Path(__file__).parent
_COLUMNS = ("name", "rxnorm", "atc", "synonyms", "source")
_SYSTEMS = {"RxNorm": RXNORM, "ATC": ATC}
#: The lengths of an ATC code at its levels 1 to 5. Source: WHO, Guidelines for ATC classification
#: and DDD assignment, section I.B.
_ATC_LENGTHS = (1, 3, 4, 5, 7)


@dataclass(frozen=True)
class Drug:
    """An ingredient.

    name: the generic name in lower case, unique: the USAN where it differs from the INN, which is
        then a synonym. rxnorm: the RxCUI of the ingredient. atc: its codes of level 5. synonyms:
        other generic names, brand names and abbreviations, lower case. source: the documents that
        its codes were read in. A code that no source gave is missing.
    """

    name: str
    rxnorm: str | None
    atc: tuple[str, ...]
    synonyms: tuple[str, ...]
    source: str

    @property
    def coding(self) -> Coding:
        """Its RxNorm code, else its first ATC code, else its name alone."""
        if self.rxnorm is not None:
            return Coding(system=RXNORM, code=self.rxnorm, display=self.name)
        if self.atc:
            return Coding(system=ATC, code=self.atc[0], display=self.name)
        return Coding(system="urn:polyclinic:drug", code=self.name, display=self.name)


class Formulary:
    """Drugs, found by code or by name; what is not known gives no drug, never a guess."""

    def __init__(
        self, drugs: Iterable[Drug], products: Mapping[tuple[str, str], Sequence[str]] | None = None
    ) -> None:
        """Take the drugs, and the products: by system and code the names of what is in them.

        Raises `InvalidInput` where two drugs have one name, or a product an unknown one.
        """
        by_name: dict[str, Drug] = {}
        for drug in drugs:
            if drug.name in by_name:
                raise InvalidInput(
                    f"There are two drugs named {drug.name}.",
                    where=drug.name,
                    remedy="Keep one of them, with the codes and synonyms of both.",
                )
            by_name[drug.name] = drug
        self.drugs: Mapping[str, Drug] = MappingProxyType(by_name)
        self._codes = _by_code(by_name, products or {})
        self._names = Names(
            (name, drug.name) for drug in by_name.values() for name in (drug.name, *drug.synonyms)
        )
        self._named = lru_cache(maxsize=1 << 16)(self._names.within)

    def coded(self, system: str | None, code: str) -> tuple[Drug, ...]:
        """What a code stands for: an RxNorm ingredient or listed product, an ATC code of level 5.

        An ATC code that several drugs share stands for none, unless it is listed as a product.
        """
        return self._all(self._codes.get(spelled(system, code), ()))

    def named(self, text: str) -> tuple[Drug, ...]:
        """The drugs that a text names, in its order: a generic or brand name, an order, a mixture.

        `Metoprolol Tartrate 25mg` is metoprolol, `Fluticasone/Salmeterol` two drugs, `Vial` none.
        A fluid that another drug is dissolved in is left out.
        """
        return self._all(self._named(text))

    def of(
        self, system: str | None, code: str | None, also: Sequence[str], display: str | None
    ) -> tuple[Drug, ...]:
        """The drugs of an order, by its code, else its other codes (`system|code`), else its words.

        Where code and words name different drugs the words count: a wrong code is a slip that
        nobody sees, a wrong name is read by whoever orders. `conflict` tells of it. Words that
        name more than the code, such as a mixture coded as one of its drugs, count as well.
        """
        coded, named = self._coded(system, code, also), self.named(display or "")
        return coded if set(coded) - set(named) and not _differ(coded, named) else named

    def conflict(
        self, system: str | None, code: str | None, also: Sequence[str], display: str | None
    ) -> str | None:
        """What is wrong, in words, where an order's code and its words name different drugs."""
        coded, named = self._coded(system, code, also), self.named(display or "")
        if not _differ(coded, named):
            return None
        said = " and ".join(drug.name for drug in coded)
        return f"{display} is coded as {said}; taken as {' and '.join(d.name for d in named)}."

    def described(self, reference: str) -> tuple[Drug, ...]:
        """The drugs of a reference: `drug:simvastatin`, or all of a class with `atc:C10AA`.

        After `drug:` a synonym does as well. Raises `InvalidInput` where it has neither form.
        """
        kind, _, value = reference.partition(":")
        if kind == "drug" and value:
            exact = self.drugs.get(value)
            return (exact,) if exact else self._all(self._names.exactly(value))
        if kind == "atc" and known(ATC, value):
            return tuple(
                drug
                for drug in self.drugs.values()
                if any(code.startswith(value) for code in drug.atc)
            )
        raise InvalidInput(
            f"{reference!r} refers to no drug.",
            where=reference,
            remedy="Write drug:NAME, such as drug:simvastatin, or atc:CODE, such as atc:C10AA.",
        )

    @staticmethod
    def atc_ancestors(code: str) -> tuple[str, ...]:
        """The code at every level down to its own: C10AA05 gives C, C10, C10A, C10AA, C10AA05."""
        return tuple(code[:length] for length in _ATC_LENGTHS if length <= len(code))

    def _coded(self, system: str | None, code: str | None, also: Sequence[str]) -> tuple[Drug, ...]:
        for other in (f"{system or ''}|{code}", *also):
            uri, _, value = other.rpartition("|")
            if drugs := self.coded(uri, value):
                return drugs
        return ()

    def _all(self, names: Iterable[str]) -> tuple[Drug, ...]:
        return tuple(self.drugs[name] for name in names)


def load_formulary(extra: Path | None = None) -> Formulary:
    """The drugs that come with the package, and those of a CSV file with the same columns.

    The columns of `extra` are name, rxnorm, atc, synonyms, source; several codes or synonyms are
    separated by semicolons, and a cell may be empty. A drug that is known already gains the file's
    codes and synonyms. Raises `InvalidInput` that names file and line where a row cannot be used.
    """
    drugs = {drug.name: drug for drug in _read(_HERE / "ingredients.csv")}
    for drug in _read(extra) if extra is not None else ():
        drugs[drug.name] = _merged(drugs[drug.name], drug) if drug.name in drugs else drug
    with (_HERE / "products.csv").open(encoding="utf-8", newline="") as stream:
        products = {
            (_SYSTEMS[row["system"]], row["code"]): row["drugs"].split(";")
            for row in csv.DictReader(stream)
        }
    return Formulary(drugs.values(), products)


def _by_code(
    drugs: Mapping[str, Drug], products: Mapping[tuple[str, str], Sequence[str]]
) -> dict[tuple[str | None, str], tuple[str, ...]]:
    shared: dict[tuple[str | None, str], list[str]] = {}
    for drug in drugs.values():
        own = [(ATC, code) for code in drug.atc]
        for key in [*own, (RXNORM, drug.rxnorm)] if drug.rxnorm else own:
            shared.setdefault(key, []).append(drug.name)
    codes = {key: tuple(names) for key, names in shared.items() if len(names) == 1}
    for key, names in products.items():
        if missing := [name for name in names if name not in drugs]:
            raise InvalidInput(f"There is no drug named {missing[0]}.", where="|".join(key))
        codes[key] = tuple(names)
    return codes


def _read(path: Path) -> Iterable[Drug]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if missing := set(_COLUMNS) - set(rows.fieldnames or ()):
                raise InvalidInput(
                    f"{path.name} lacks the column {min(missing)}.",
                    where=str(path),
                    remedy=f"Its first line must be {','.join(_COLUMNS)}.",
                )
            for row in rows:
                yield _drug(row, f"{path}:{rows.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"{path.name} cannot be read: {error}",
            where=str(path),
            remedy="It must be a CSV file in UTF-8.",
        ) from None


def _drug(row: Mapping[str, str | None], where: str) -> Drug:
    cells = {column: (row[column] or "").strip() for column in _COLUMNS}
    rxnorm, atc = cells["rxnorm"] or None, _parts(cells["atc"].upper())
    if not cells["name"]:
        raise InvalidInput(
            "A drug has no name.", where=where, remedy="Give it one, or drop the row."
        )
    wrong = [code for code in atc if len(code) != _ATC_LENGTHS[-1] or not known(ATC, code)]
    if rxnorm is not None and not known(RXNORM, rxnorm):
        wrong.append(rxnorm)
    if wrong:
        raise InvalidInput(
            f"{wrong[0]} is no code of {cells['name']}.",
            where=where,
            remedy="RxNorm codes are digits; ATC codes are of level 5, such as C10AA05.",
        )
    return Drug(
        name=cells["name"].lower(),
        rxnorm=rxnorm,
        atc=atc,
        synonyms=_parts(cells["synonyms"].lower()),
        source=cells["source"],
    )


def _merged(ours: Drug, theirs: Drug) -> Drug:
    return Drug(
        name=ours.name,
        rxnorm=theirs.rxnorm or ours.rxnorm,
        atc=tuple(dict.fromkeys((*ours.atc, *theirs.atc))),
        synonyms=tuple(dict.fromkeys((*ours.synonyms, *theirs.synonyms))),
        source="; ".join(filter(None, dict.fromkeys((ours.source, theirs.source)))),
    )


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())


def _differ(coded: Sequence[Drug], named: Sequence[Drug]) -> bool:
    """Whether both are known and have no drug in common."""
    return bool(coded and named) and not set(coded) & set(named)
