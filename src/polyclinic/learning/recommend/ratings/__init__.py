"""Explicit scores of users for items: matrix factorisation and nearest neighbours.

`svd`, `svdpp` and `knn` fit; `factors` and `neighbours` are what they learn, and need NumPy alone.
"""
