"""Rowcast: train, version, explain and serve models of your own tables."""

__version__ = "0.1.0"
