"""Numba twins of the hot kernels, for installations without the extension."""
