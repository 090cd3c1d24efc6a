"""Object stores: one port of eight verbs, and S3 behind it.

In: buckets, keys, bytes. Out: heads, bodies that resume, listing pages, typed errors with hints.
Never: knowledge of reports, snapshots or folders; files on disk; a result that was not checked.
"""

from stocktake.store._account import Account, Caller, KeyFacts, open_account
from stocktake.store._answers import Call, Refusal, refusal_error
from stocktake.store._byte_budget import ByteBudget
from stocktake.store._calling import Calling, once
from stocktake.store._checksums import (
    Buffer,
    combine_crc64nvme,
    crc64nvme,
    decode_crc64nvme,
    encode_crc64nvme,
)
from stocktake.store._content_types import content_type_of
from stocktake.store._key_pages import (
    ArrowPages,
    KeyPage,
    SingleTries,
    listed_schema,
    read_key_page,
    read_key_page_once,
    rows_to_batch,
)
from stocktake.store._object_proof import (
    SHA256_NAME,
    TOKEN_NAME,
    Digests,
    composite_etag,
    digests_of,
    disproves,
    proof,
    proof_of_answer,
    token_of,
)
from stocktake.store._open import open_session, open_store
from stocktake.store._options import S3StoreOptions
from stocktake.store._part_pool import PartPool
from stocktake.store._part_sizes import (
    IN_FLIGHT_BYTES_MAX,
    MIB,
    OBJECT_BYTES_MAX,
    PARTS_AT_ONCE,
    PARTS_MAX,
    TABLE_PARTS_AT_ONCE,
    part_size_bytes,
    parts_at_once,
)
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
from stocktake.store._upload_abort import abort_until_gone
from stocktake.store._upload_pace import UploadPace
from stocktake.store._uploads_under_way import UploadUnderWay, uploads_of

__all__ = [
    "IN_FLIGHT_BYTES_MAX",
    "MIB",
    "OBJECT_BYTES_MAX",
    "PARTS_AT_ONCE",
    "PARTS_MAX",
    "S3_UPLOADS",
    "SHA256_NAME",
    "TABLE_PARTS_AT_ONCE",
    "TOKEN_NAME",
    "Account",
    "ArrowPages",
    "Buffer",
    "ByteBudget",
    "ByteRange",
    "Call",
    "Caller",
    "Calling",
    "CompleteOptions",
    "Digests",
    "KeyFacts",
    "KeyPage",
    "ListPage",
    "ListQuery",
    "ListedObject",
    "MultipartUpload",
    "ObjectBody",
    "ObjectHead",
    "PartPool",
    "PutOptions",
    "Refusal",
    "RetryPolicy",
    "S3StoreOptions",
    "SingleTries",
    "Store",
    "StoreProfile",
    "UploadPace",
    "UploadProfile",
    "UploadUnderWay",
    "abort_until_gone",
    "combine_crc64nvme",
    "composite_etag",
    "content_type_of",
    "crc64nvme",
    "decode_crc64nvme",
    "digests_of",
    "disproves",
    "encode_crc64nvme",
    "iter_listing",
    "listed_schema",
    "once",
    "open_account",
    "open_session",
    "open_store",
    "part_size_bytes",
    "parts_at_once",
    "probe",
    "probe_uploads",
    "proof",
    "proof_of_answer",
    "read_key_page",
    "read_key_page_once",
    "refusal_error",
    "rows_to_batch",
    "token_of",
    "uploads_of",
]
