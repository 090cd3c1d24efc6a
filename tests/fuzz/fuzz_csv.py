"""Fuzz: any text as a CSV part. See `fuzzing.py`."""

from fuzzing import run

run("csv")
