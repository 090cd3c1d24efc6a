"""Fuzz: any bytes as manifest.json. See `fuzzing.py`."""

from fuzzing import run

run("manifest")
