"""Equations and factors of matrices, by NumPy; gradients are written with other ops."""

from pyautodl.ops.linalg import (
    determinants,
    eigen,
    eigen_general,
    factors,
    inverses,
    triangles,
)
