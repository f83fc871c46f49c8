"""The only place that touches Numba and llvmlite. Imports core and errors.

What it relies on is listed and probed in :mod:`aotnb.bridge.compat`.
"""
