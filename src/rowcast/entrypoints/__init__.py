"""Doors: parse, one call, render."""
