"""Object stores: one port of eight verbs, and S3 behind it.

In: buckets, keys, bytes. Out: heads, bodies that resume, listing pages, typed errors with hints.
Never: knowledge of reports, snapshots or folders; files on disk; a result that was not checked.
"""

from stocktake.store._answers import Call, Refusal, refusal_error
from stocktake.store._checksums import (
    Buffer,
    combine_crc64nvme,
    crc64nvme,
    decode_crc64nvme,
    encode_crc64nvme,
)
from stocktake.store._key_pages import (
    ArrowPages,
    KeyPage,
    SingleTries,
    listed_schema,
    read_key_page,
    read_key_page_once,
    rows_to_batch,
)
from stocktake.store._open import open_session, open_store
from stocktake.store._options import S3StoreOptions
from stocktake.store._port import (
    ByteRange,
    CompleteOptions,
    ListedObject,
    ListPage,
    ListQuery,
    MultipartUpload,
    ObjectBody,
    ObjectHead,
    PutOptions,
    Store,
    iter_listing,
)
from stocktake.store._probe import StoreProfile, probe
from stocktake.store._probe_uploads import S3_UPLOADS, UploadProfile, probe_uploads
from stocktake.store._retry import RetryPolicy
from stocktake.store._uploads_under_way import UploadUnderWay, uploads_of

__all__ = [
    "S3_UPLOADS",
    "ArrowPages",
    "Buffer",
    "ByteRange",
    "Call",
    "CompleteOptions",
    "KeyPage",
    "ListPage",
    "ListQuery",
    "ListedObject",
    "MultipartUpload",
    "ObjectBody",
    "ObjectHead",
    "PutOptions",
    "Refusal",
    "RetryPolicy",
    "S3StoreOptions",
    "SingleTries",
    "Store",
    "StoreProfile",
    "UploadProfile",
    "UploadUnderWay",
    "combine_crc64nvme",
    "crc64nvme",
    "decode_crc64nvme",
    "encode_crc64nvme",
    "iter_listing",
    "listed_schema",
    "open_session",
    "open_store",
    "probe",
    "probe_uploads",
    "read_key_page",
    "read_key_page_once",
    "refusal_error",
    "rows_to_batch",
    "uploads_of",
]
