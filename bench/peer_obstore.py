"""obstore's own Arrow listing, run by the peers' Python: prints how many keys it saw as JSON."""

from __future__ import annotations

import json
import sys
import time

import obstore
from obstore.store import S3Store


def main() -> int:
    endpoint, bucket = sys.argv[1:]
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    began_s = time.perf_counter()
    rows = sum(
        batch.num_rows for batch in obstore.list(store, chunk_size=10_000, return_arrow=True)
    )
    print(json.dumps({"rows": rows, "listing_s": time.perf_counter() - began_s}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
