"""The version: read by the build, compiled into the extension, compared at import."""

__version__ = "0.1.0"
