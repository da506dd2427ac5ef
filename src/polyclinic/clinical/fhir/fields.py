"""Elements of a resource, each refused where it is not of the type that FHIR gives it."""

import math
from collections.abc import Iterator
from typing import Any

#: A JSON object.
Json = dict[str, Any]


class Unreadable(Exception):
    """A resource that cannot be read: what is wrong; `at` names the element once it is known."""

    def __init__(self, detail: str, at: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.at = at

    def __str__(self) -> str:
        return f"{self.at} {self.detail}" if self.at else self.detail


def string(parent: Json, name: str) -> str | None:
    """The string of that name, if it is there."""
    value = parent.get(name)
    if value is None or (value.__class__ is str and value):
        return value
    raise Unreadable("is no text", name)


def entity(parent: Json, name: str) -> Json | None:
    """The object of that name, if it is there."""
    value = parent.get(name)
    if value is None or value.__class__ is dict:
        return value
    raise Unreadable("is no object", name)


def entities(parent: Json, name: str) -> Iterator[Json]:
    """The objects of the array of that name, if it is there."""
    values = parent.get(name)
    if values is None:
        return
    if values.__class__ is not list:
        raise Unreadable("is no array", name)
    for index, value in enumerate(values):
        if value.__class__ is not dict:
            raise Unreadable("is no object", f"{name}[{index}]")
        yield value


def number(parent: Json, name: str) -> float | None:
    """The number of that name, if it is there."""
    value = parent.get(name)
    if value is None:
        return None
    if (value.__class__ is not float and value.__class__ is not int) or not math.isfinite(value):
        raise Unreadable("is no number", name)
    return float(value)


def required(parent: Json, name: str, allowed: frozenset[str]) -> str:
    """The code of that name, which must be there and be one of `allowed`."""
    value = string(parent, name)
    if value is None:
        raise Unreadable("is missing", name)
    if value not in allowed:
        raise Unreadable("is no code of FHIR's required value set", name)
    return value


def bound(parent: Json, name: str, allowed: frozenset[str]) -> str | None:
    """The code of the concept of that name; where it is there it must hold one of `allowed`."""
    concept = entity(parent, name)
    if concept is None:
        return None
    for coding in entities(concept, "coding"):
        code = string(coding, "code")
        if code in allowed:
            return code
    raise Unreadable("holds no code of FHIR's required value set", name)
