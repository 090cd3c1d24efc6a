"""One reconciliation as a process of its own, for `bench.reconcile`: prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter


def main(url: str, catalog: str, what: str, probes: str) -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    from stocktake.catalog import ImportOptions, import_snapshot, open_catalog
    from stocktake.listing import ListSource, RangeLister
    from stocktake.model import S3Url
    from stocktake.reconcile import (
        Bounds,
        Desk,
        HaveSpec,
        ReconcileConfig,
        Rule,
        ScanMode,
        ShouldKind,
        ShouldSpec,
        reconcile,
    )
    from stocktake.store import S3StoreOptions, open_store

    store = open_store(S3StoreOptions(endpoint_url=url, region="us-east-1"))
    source = S3Url("bench")
    with open_catalog(catalog, create=True) as opened:
        if what == "scan":
            import_snapshot(
                opened, ListSource(store, source, lister=RangeLister()), ImportOptions()
            )
            print(json.dumps({}))
            return
        mode, _, against = what.partition(" ")
        rules = (Rule("all", "", objects=Bounds(1, None), allow_empty=False),)
        should = {
            "snapshot": ShouldSpec(ShouldKind.SNAPSHOT, "bench@latest"),
            "rules": ShouldSpec(ShouldKind.RULES, "rules", rules=rules),
        }[against]
        config = ReconcileConfig(HaveSpec(source, ScanMode(mode), probes=int(probes)), should)
        started, cpu = time.perf_counter(), time.process_time()
        report = reconcile(config, Desk(store, opened))
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        said = Counter(report.have.requests or {})
        print(
            json.dumps(
                {
                    "rows": report.have.objects,
                    "wall_s": wall_s,
                    "cpu_s": cpu_s,
                    "calls": said["LIST"],
                    "saved": report.calls_saved,
                    "findings": report.findings_total,
                }
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
