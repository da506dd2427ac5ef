"""The pages that people see. They load nothing from elsewhere, and so work offline."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

from polyclinic import NOTICE, __version__

#: Nothing but what the page itself holds: no script, no request elsewhere.
HTML_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}
_METHODS = ("get", "put", "post", "delete", "patch")

_templates = Environment(
    loader=PackageLoader("polyclinic.service.gateway"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the reference page shows it."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[dict[str, Any]]
    accepts: list[str]
    responses: dict[str, Any]


def page(template: str, **values: Any) -> HTMLResponse:
    """A template of this package, filled."""
    html = _templates.get_template(template).render(notice=NOTICE, version=__version__, **values)
    return HTMLResponse(html, headers=HTML_POLICY)


def reference(document: Mapping[str, Any]) -> HTMLResponse:
    """The reference of an OpenAPI document: its operations and its schemas."""
    return page(
        "reference.html",
        operations=list(operations(document)),
        schemas=document["components"]["schemas"],
        type_of=type_of,
    )


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """The operations of an OpenAPI document, in its order."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                found = item[method]
                yield Operation(
                    method.upper(),
                    path,
                    found.get("summary", ""),
                    found.get("description", ""),
                    found.get("parameters", []),
                    list(found.get("requestBody", {}).get("content", {})),
                    found["responses"],
                )


def type_of(schema: Mapping[str, Any]) -> str:
    """A JSON schema's type in a few words: `list of Finding`, `number or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(type_of(option) for option in schema[choice])
    if "const" in schema:
        return f"“{schema['const']}”"
    if "enum" in schema:
        return " or ".join(f"“{value}”" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    form = schema.get("format") or schema.get("contentEncoding")
    return f"{schema.get('type', 'any')}" + (f" ({form})" if form else "")
