"""The command line: ``aotnb run``, ``inspect``, ``verify``, ``trust``, ``doctor``, ``demo``."""

from aotnb.cli.main import main

__all__ = ["main"]
