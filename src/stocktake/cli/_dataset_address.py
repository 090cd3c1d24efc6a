"""Where a dataset's bucket answers HTTP, as this command line reaches it."""

from __future__ import annotations

import os

from stocktake.cli._run import Run
from stocktake.manifests import Dataset, base_url_of, set_base_url

_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def note_address(run: Run, dataset: Dataset) -> None:
    """Keep the address, for the manifest's `s3_url`, if it is not where AWS has the bucket."""
    named = (os.environ.get(name) for name in _VARIABLES)
    endpoint = run.settings.endpoint_url or next(filter(None, named), None)
    if endpoint:
        set_base_url(dataset, base_url_of(dataset.info().bucket, endpoint_url=endpoint))
