"""The safety knowledge: cited rows of CSV files, ours and the user's, resolved to drugs."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.treatment.drugs import Formulary
from polyclinic.treatment.safety.finding import Action, Kind
from polyclinic.treatment.safety.foreign import Row, foreign_rows
from polyclinic.treatment.safety.liver import LIVER_STATES

_HERE = Path(__file__).parent / "knowledge"
#: Of a row that does not say how severe it is.
_SEVERITY = {"veto": "contraindicated", "warning": "major"}
_ACTIONS: Mapping[str, Action] = {"veto": "veto", "warning": "warning"}

#: What to do about a dose, whose rows say no more.
_AT_MOST = "Give no more than the maximum, or say why"

_KINDS: Mapping[str, Kind] = {
    "interactions": "interaction",
    "allergies": "allergy",
    "conditions": "condition",
    "kidney": "kidney",
    "liver": "liver",
    "age": "age",
    "doses": "dose",
}

#: The columns of each file. `source` is a key of sources.csv, or a web address.
COLUMNS = {
    "interactions": ("id", "a", "b", "severity", "action", "mechanism", "management", "source"),
    "allergies": ("id", "allergen", "drug", "relation", "action", "management", "source"),
    "conditions": (
        *("id", "drug", "condition", "icd10", "snomed", "severity", "action", "reason"),
        *("management", "source"),
    ),
    "pregnancy": ("id", "drug", "state", "action", "reason", "management", "source"),
    "kidney": ("id", "drug", "egfr_below", "action", "reason", "management", "source"),
    "liver": ("id", "drug", "when", "action", "reason", "management", "source"),
    "age": ("id", "drug", "age_from", "age_below", "action", "reason", "management", "source"),
    "doses": (
        *("id", "drug", "route", "max_daily", "unit", "age_from", "age_below", "action", "reason"),
        "source",
    ),
    "duplicates": ("group", "reason", "source"),
    "classes": ("class", "member", "source"),
    "sources": ("key", "title", "publisher", "url", "year", "opened"),
}


@dataclass(frozen=True)
class Rule:
    """A row: the drugs that it speaks of, by name, and what it says of them.

    row: its cells by column, which say when it holds.
    """

    id: str
    kind: Kind
    action: Action
    drugs: frozenset[str]
    severity: str
    mechanism: str
    management: str
    source: str
    row: Mapping[str, str] = field(repr=False)
    others: frozenset[str] = frozenset()


#: What an allergy to a drug says of the drug itself.
SAME_INGREDIENT = Rule(
    id="allergy-same-ingredient",
    kind="allergy",
    action="veto",
    drugs=frozenset(),
    severity="contraindicated",
    mechanism="The same ingredient",
    management="Do not give; if nothing else serves, ask an allergist",
    source="https://doi.org/10.1186/s13223-018-0289-y",
    row={},
)


@dataclass(frozen=True)
class Knowledge:
    """All rules by kind, and the groups of which two at once are usual.

    unresolved: references to drugs that the formulary does not know, by rule. version: the first 12
    digits of the SHA-256 over all rows that count.
    """

    formulary: Formulary
    rules: Mapping[str, tuple[Rule, ...]]
    usual_together: tuple[frozenset[str], ...]
    unresolved: tuple[str, ...]
    version: str

    @cached_property
    def partners(self) -> Mapping[str, tuple[tuple[Rule, frozenset[str]], ...]]:
        """By drug, the interactions it has a part in, each with the drugs of the other part."""
        found: dict[str, list[tuple[Rule, frozenset[str]]]] = {}
        for rule in self.rules["interactions"]:
            for drug in rule.drugs:
                found.setdefault(drug, []).append((rule, rule.others))
            for drug in rule.others:
                # Of a pair that both parts have, once is enough.
                found.setdefault(drug, []).append((rule, rule.drugs))
        return {drug: tuple(rules) for drug, rules in found.items()}

    @cached_property
    def allergens(self) -> Mapping[str, tuple[frozenset[str], frozenset[str]]]:
        """By rule, the words and codes that name its allergen, and the drugs that are it."""
        found = {}
        for rule in self.rules["allergies"]:
            terms = [term.strip().lower() for term in rule.row["allergen"].split(";")]
            spoken = frozenset(term for term in terms if term and ":" not in term)
            found[rule.id] = (spoken, rule.others)
        return found

    @cached_property
    def by_icd10(self) -> Mapping[str, tuple[Rule, ...]]:
        """By prefix of ICD-10, without its point, the rules of conditions."""
        return _index(self.rules["conditions"], "icd10")

    @cached_property
    def by_snomed(self) -> Mapping[str, tuple[Rule, ...]]:
        """By SNOMED CT code, the rules of conditions."""
        return _index(self.rules["conditions"], "snomed")

    @cached_property
    def by_condition(self) -> Mapping[str, tuple[Rule, ...]]:
        """By the condition's name in lower case, the rules of conditions."""
        return _index(self.rules["conditions"], "condition")

    @cached_property
    def alike(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """By drug and its ATC level 4, the others of it; without those that are usual together.

        Groups of what is left over, which end in X, hold drugs that have little in common.
        """
        groups: dict[str, set[str]] = {}
        for drug in self.formulary.drugs.values():
            for code in drug.atc:
                groups.setdefault(code[:5], set()).add(drug.name)
        found = {}
        for drug in self.formulary.drugs.values():
            usual = [each for each in self.usual_together if drug.name in each]
            own = {code[:5] for code in drug.atc if code[4] != "X"}
            found[drug.name] = {
                group: frozenset(groups[group] - {drug.name}.union(*usual)) for group in sorted(own)
            }
        return found


def load_knowledge(formulary: Formulary, extra: Path | None = None) -> Knowledge:
    """The knowledge that comes with the package, and the user's own.

    extra: a folder of CSV files with our names and columns, exports of DDInter, or FHIR Bundles of
    ClinicalUseDefinition (`foreign`). A row whose id is ours replaces ours. Raises `InvalidInput`
    naming file and line.
    """
    files = {name: _read(_HERE / f"{name}.csv", columns) for name, columns in COLUMNS.items()}
    if extra is not None:
        _add(files, extra)
    sources = {row["key"]: row["url"] for row in files["sources"].values()}
    resolve = _Resolver(formulary, files["classes"].values())
    rules = {
        name: tuple(_rules(name, files[name].values(), resolve, sources))
        for name in COLUMNS
        if name not in ("duplicates", "classes", "sources")
    }
    together = tuple(resolve(row["group"], row["group"]) for row in files["duplicates"].values())
    told = "\n".join(
        "|".join((name, *row.values())) for name, rows in files.items() for row in rows.values()
    )
    return Knowledge(
        formulary, rules, together, tuple(resolve.unresolved), sha256(told.encode())[:12]
    )


class _Resolver:
    """References to names of drugs; what is not known is kept in `unresolved`."""

    def __init__(self, formulary: Formulary, classes: Iterable[Row]) -> None:
        self._formulary = formulary
        self._classes: dict[str, list[str]] = {}
        for row in classes:
            self._classes.setdefault(row["class"], []).append(row["member"])
        self._known: dict[str, frozenset[str]] = {}
        self.unresolved: list[str] = []

    def __call__(self, reference: str, rule: str) -> frozenset[str]:
        """The drugs of `drug:`, `atc:` or `class:`, or of several with `;` between them."""
        if reference not in self._known:
            parts = [part.strip() for part in reference.split(";")]
            self._known[reference] = frozenset().union(*(self._one(part, rule) for part in parts))
        return self._known[reference]

    def _one(self, reference: str, rule: str) -> frozenset[str]:
        kind, _, name = reference.partition(":")
        if kind == "class":
            members = self._classes.get(name, [])
            if not members:
                self.unresolved.append(f"{rule}: {reference}")
            return frozenset().union(*(self._one(member, rule) for member in members))
        try:
            found = frozenset(drug.name for drug in self._formulary.described(reference))
        except InvalidInput as error:
            raise InvalidInput(error.detail, where=f"rule {rule}", remedy=error.remedy) from None
        if not found:
            self.unresolved.append(f"{rule}: {reference}")
        return found


def _rules(
    name: str, rows: Iterable[Row], resolve: _Resolver, sources: Mapping[str, str]
) -> Iterator[Rule]:
    for row in rows:
        yield Rule(
            id=row["id"],
            kind=_kind(name, row),
            action=_ACTIONS[row["action"]],
            drugs=resolve(row["a" if name == "interactions" else "drug"], row["id"]),
            others=_others(name, row, resolve),
            severity=row.get("severity") or _SEVERITY[row["action"]],
            mechanism=row.get("mechanism") or row.get("reason") or row.get("relation", ""),
            management=row.get("management") or _AT_MOST,
            source=sources.get(row["source"], row["source"]),
            row=row,
        )


def _others(name: str, row: Row, resolve: _Resolver) -> frozenset[str]:
    """The drugs of an interaction's other part; those that are a rule's allergen."""
    if name == "interactions":
        return resolve(row["b"], row["id"])
    if name != "allergies":
        return frozenset()
    references = [part.strip() for part in row["allergen"].split(";") if ":" in part]
    return frozenset().union(*(resolve(each, row["id"]) for each in references))


def _kind(name: str, row: Row) -> Kind:
    if name == "pregnancy":
        return "pregnancy" if row["state"] == "pregnant" else "lactation"
    return _KINDS[name]


def _index(rules: Iterable[Rule], column: str) -> Mapping[str, tuple[Rule, ...]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for value in rule.row.get(column, "").split(";"):
            key = value.strip().replace(".", "") if column == "icd10" else value.strip().lower()
            if key:
                found.setdefault(key, []).append(rule)
    return {key: tuple(own) for key, own in found.items()}


def _read(path: Path, columns: tuple[str, ...]) -> dict[str, Row]:
    """The rows of a file, by their first cell, or by all where that is no key."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [each for each in columns if each not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput(
                    f"{path.name} lacks the column {missing[0]}.",
                    where=str(path),
                    remedy=f"Its first line must be {','.join(columns)}.",
                )
            rows: dict[str, Row] = {}
            for cells in reader:
                row = {name: (cells[name] or "").strip() for name in columns}
                _check(row, f"{path}:{reader.line_num}")
                key = row["id"] if "id" in row else "|".join(row.values())
                if key in rows:
                    raise InvalidInput(
                        f"The id {key} stands there twice.", where=f"{path}:{reader.line_num}"
                    )
                rows[key] = row
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}", where=str(path)) from None


def _check(row: Row, where: str) -> None:
    """Raise `InvalidInput` for a row that no rule can be made of."""
    if "id" in row and not row["id"]:
        raise InvalidInput("A rule has no id.", where=where)
    if row.get("action", "veto") not in _ACTIONS:
        raise InvalidInput(
            f"The action {row['action']!r} is not known.",
            where=where,
            remedy="A rule's action is veto or warning.",
        )
    if not row.get("source", "?"):
        raise InvalidInput("The row names no source.", where=where)
    if row.get("when", "cirrhosis").lower() not in LIVER_STATES:
        raise InvalidInput(
            f"The state of the liver {row['when']!r} is not known.",
            where=f"{where}, when",
            remedy=f"It is one of {', '.join(LIVER_STATES)}.",
        )
    for column in ("egfr_below", "age_from", "age_below", "max_daily"):
        try:
            float(row.get(column) or 0)
        except ValueError:
            raise InvalidInput(
                f"{row[column]!r} is no number.", where=f"{where}, {column}"
            ) from None


def _add(files: dict[str, dict[str, Row]], folder: Path) -> None:
    """The user's rows: those of our columns, and what `foreign` makes of others."""
    if not folder.is_dir():
        raise InvalidInput("There is no such folder of safety rules.", where=str(folder))
    for path in sorted(folder.iterdir()):
        if path.stem in COLUMNS and path.suffix == ".csv":
            files[path.stem] |= _read(path, COLUMNS[path.stem])
            continue
        for name, row in foreign_rows(path):
            whole = {column: row.get(column, "") for column in COLUMNS[name]}
            files[name][whole["id"]] = whole
