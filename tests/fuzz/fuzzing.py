"""Runs one target under atheris: `python tests/fuzz/fuzz_csv.py -max_total_time=60`.

Needs the extra `fuzz`. Arguments are libFuzzer's. Seeds and what is learnt are kept in
`.fuzz/<target>/`; an input that breaks a rule is left there as `crash-...` and belongs into
`tests/fixtures/fuzz/<target>/`, where every test run reads it again.
"""

from __future__ import annotations

import sys
from hashlib import sha1
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stocktake"]):
    import targets

KEPT = Path(__file__).parents[2] / ".fuzz"
HANG_S = 5


def run(name: str) -> None:
    """Fuzz until the arguments say stop, or a rule is broken."""
    corpus = KEPT / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in targets.seeds(name):
        (corpus / sha1(seed).hexdigest()).write_bytes(seed)
    limits = [f"-timeout={HANG_S}", f"-artifact_prefix={KEPT / name}/", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], str(corpus)], getattr(targets, name))
    atheris.Fuzz()
