"""Fuzz: any bytes as a gzipped part. See `fuzzing.py`."""

from fuzzing import run

run("gzip_stream")
