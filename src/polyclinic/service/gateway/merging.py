"""One document and one scrape for the whole house, out of each service's own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from polyclinic.core.errors import Conflict


def merge_openapi(own: dict[str, Any], departments: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The gateway's OpenAPI document with the departments' operations (`/v1/...`) in it.

    Raises `Conflict` when two services call different schemas by one name.
    """
    paths, schemas = dict(own["paths"]), dict(own["components"]["schemas"])
    for document in departments:
        paths |= {path: item for path, item in document["paths"].items() if path.startswith("/v1/")}
        for name, schema in document["components"]["schemas"].items():
            if schemas.setdefault(name, schema) != schema:
                raise Conflict(f"Two services call different schemas {name}.", where=name)
    return {
        **own,
        "info": {**own["info"], "title": "Polyclinic"},
        "paths": paths,
        "components": {**own["components"], "schemas": schemas},
    }


def merge_metrics(texts: Mapping[str, bytes]) -> bytes:
    """The metrics of several services, by name, told apart by the label `service`."""
    registry = CollectorRegistry()
    registry.register(_Collected(texts))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self.texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for service, text in self.texts.items():
            for family in text_string_to_metric_families(text.decode()):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                merged.samples += [
                    Sample(s.name, {"service": service, **s.labels}, s.value)
                    for s in family.samples
                ]
        yield from families.values()
