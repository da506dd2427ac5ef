"""What a molecule's structure alone tells: properties, drug-likeness, alerts, ease of synthesis."""

from polyclinic.discovery.properties.alerts import Alert
from polyclinic.discovery.properties.catalogue import NAMES, Property, catalogue
from polyclinic.discovery.properties.describe import (
    Properties,
    Table,
    describe,
    measure,
    properties,
)

__all__ = [
    "NAMES",
    "Alert",
    "Properties",
    "Property",
    "Table",
    "catalogue",
    "describe",
    "measure",
    "properties",
]
