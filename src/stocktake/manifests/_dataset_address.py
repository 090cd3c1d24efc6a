"""Where a dataset's objects are fetched by HTTP: the `s3_url` of its manifest."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from stocktake.errors import InvalidSettingError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_registry import write_base_url
from stocktake.manifests._dataset_values import DatasetInfo

_CHINA = "cn-"


def base_url_of(bucket: str, *, region: str | None = None, endpoint_url: str | None = None) -> str:
    """Where a bucket answers, ending in `/`.

    A store of one's own is addressed by path, AWS by host; a dot in a bucket's name breaks the
    certificate of the latter, so then by path, too.

    >>> base_url_of("photos", region="eu-west-1")
    'https://photos.s3.eu-west-1.amazonaws.com/'
    >>> base_url_of("photos", endpoint_url="http://127.0.0.1:9000/")
    'http://127.0.0.1:9000/photos/'
    """
    if endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{bucket}/"
    domain = "amazonaws.com.cn" if (region or "").startswith(_CHINA) else "amazonaws.com"
    host = f"s3.{region}.{domain}" if region and region != "us-east-1" else f"s3.{domain}"
    return f"https://{host}/{bucket}/" if "." in bucket else f"https://{bucket}.{host}/"


def object_url(info: DatasetInfo, s3_key: str) -> str:
    """The address of an object, percent-encoded as S3 wants it."""
    base = info.base_url or base_url_of(info.bucket)
    return base + quote(s3_key, safe="/-_.~")


def set_base_url(dataset: Dataset, base_url: str) -> None:
    """Keep where the dataset's bucket answers; nothing is written if it is known.

    Raises:
        InvalidSettingError: Not an HTTP address that ends in `/`.
    """
    parts = urlsplit(base_url)
    legal = parts.scheme in ("http", "https") and parts.netloc and base_url.endswith("/")
    if not legal or parts.username or parts.query or parts.fragment:
        raise InvalidSettingError(
            f"`{parts.scheme}://{parts.hostname}{parts.path}` is no address of a bucket",
            hint="write https://host/bucket/, without user, password or query",
        )
    if dataset.info().base_url != base_url:
        write_base_url(dataset.state, dataset.id, base_url)
