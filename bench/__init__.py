"""Benchmarks of thingjobs over its public wire: ``python -m bench`` (see README.md)."""
