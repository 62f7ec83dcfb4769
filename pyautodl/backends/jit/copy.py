"""Copies for machines without the compiled extension: NumPy's own are compiled already."""

from __future__ import annotations

from pyautodl.backends.reference.copy import copy

__all__ = ["copy"]
