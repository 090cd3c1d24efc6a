"""Fuzz: any bytes as a Parquet part. See `fuzzing.py`."""

from fuzzing import run

run("parquet")
