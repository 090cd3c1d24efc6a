"""Fuzz: any bytes as an ORC part. See `fuzzing.py`."""

from fuzzing import run

run("orc")
