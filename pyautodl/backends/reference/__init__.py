"""The meaning of every kernel, in NumPy; the oracle at float64."""
