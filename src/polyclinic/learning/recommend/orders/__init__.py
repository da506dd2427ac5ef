"""Collaborative filtering on implicit feedback: who had what."""

from polyclinic.learning.recommend.orders.filters import Filter, load_filter
from polyclinic.learning.recommend.orders.fit import fit_filter
from polyclinic.learning.recommend.orders.neighbours import nearest_neighbour

__all__ = ["Filter", "fit_filter", "load_filter", "nearest_neighbour"]
