"""FHIR R4 into timelines: a Bundle, or a bulk export of NDJSON.

A subset of R4 is read by hand, with its required value sets: `fhir.resources` manages 2.5 MB/s.
"""

from polyclinic.clinical.fhir.bundle import read_bundle
from polyclinic.clinical.fhir.ndjson import read_ndjson, stream_ndjson

__all__ = ["read_bundle", "read_ndjson", "stream_ndjson"]
