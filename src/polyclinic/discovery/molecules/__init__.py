"""Molecules from text and files, standardised, or rejected with the line and the reason."""

from polyclinic.discovery.molecules.molecule import Molecule, Rejected
from polyclinic.discovery.molecules.parse import parse, parse_block
from polyclinic.discovery.molecules.read import read, records
from polyclinic.discovery.molecules.record import Record
from polyclinic.discovery.molecules.standardise import Standard

__all__ = ["Molecule", "Record", "Rejected", "Standard", "parse", "parse_block", "read", "records"]
