"""Benchmarks: pyautodl beside other libraries, in one run."""
