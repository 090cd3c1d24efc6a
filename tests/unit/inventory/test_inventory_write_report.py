"""A whole delivery: layout, manifest text, order of writing, and what a failure leaves behind."""

import csv
import gzip
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote_plus

import pyarrow as pa
import pytest

from stocktake.errors import (
    InvalidSettingError,
    ReportExistsError,
    ReportWriteError,
    StoreUnavailableError,
)
from stocktake.inventory import ReportFormat, ReportSpec, ReportWriter, parse_format, write_report
from stocktake.inventory._write_sink import PartSink
from stocktake.model import S3Url, object_schema
from stocktake.store import ListQuery
from stocktake.testing import MemoryStore

STAMP = datetime(2025, 6, 2, 1, 0, 42, tzinfo=UTC)
FOLDER = "reports/photos/daily"
MANIFEST = f"{FOLDER}/2025-06-02T01-00Z/manifest.json"
CHECKSUM = f"{FOLDER}/2025-06-02T01-00Z/manifest.checksum"
SYMLINK = f"{FOLDER}/hive/dt=2025-06-02-01-00/symlink.txt"


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.describe("CreateBucket", "inv")
    return made


def spec(**changes) -> ReportSpec:
    settings = {
        "destination": S3Url("inv", "reports"),
        "source_bucket": "photos",
        "config_id": "daily",
        "stamp": STAMP,
    } | changes
    return ReportSpec(**settings)


def batch(start: int, count: int) -> pa.RecordBatch:
    schema = object_schema(["size_bytes"])
    rows = {
        "key": [f"k {number:05d}" for number in range(start, start + count)],
        "size_bytes": list(range(start, start + count)),
    }
    return pa.RecordBatch.from_pydict(rows, schema=schema)


def keys_in(store, bucket="inv") -> list[str]:
    return [entry.key for entry in store.list_page(ListQuery(bucket)).objects]


def body_of(store, key) -> bytes:
    with store.get("inv", key) as body:
        return body.read()


def rows_of(store, part) -> list[list[str]]:
    text = gzip.decompress(body_of(store, part.key)).decode()
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


class Recorder:
    """A store that notes its writes and fails at a chosen one."""

    def __init__(self, store, fail_at=None):
        self.store, self.fail_at, self.writes = store, fail_at, []
        self.uploads_open = 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    def _note(self, what):
        self.writes.append(what)
        if len(self.writes) - 1 == self.fail_at:
            raise StoreUnavailableError(f"the store is away at {what}")

    def put(self, bucket, key, body, *options):
        self._note(key)
        return self.store.put(bucket, key, body, *options)

    def begin_upload(self, bucket, key, *options):
        self._note(f"begin {key}")
        recorder = self
        self.uploads_open += 1
        upload = self.store.begin_upload(bucket, key, *options)

        class Upload:
            def put_part(self, number, body):
                recorder._note(f"part {number} of {key}")
                return upload.put_part(number, body)

            def complete(self, etags, *conditions):
                recorder._note(f"complete {key}")
                recorder.uploads_open -= 1
                return upload.complete(etags, *conditions)

            def abort(self):
                recorder.uploads_open -= 1
                upload.abort()

        return Upload()


# --- layout --------------------------------------------------------------------------------------


def test_a_delivery_lies_where_aws_would_put_it(store):
    # INV-20
    written = write_report(store, spec(), [batch(0, 3)], seed=7)
    (part,) = written.parts
    assert keys_in(store) == sorted([CHECKSUM, MANIFEST, SYMLINK, part.key])
    assert part.key.startswith(f"{FOLDER}/data/")
    assert part.key.endswith(".csv.gz")
    assert str(written.manifest_url) == f"s3://inv/{MANIFEST}"


def test_the_manifest_reads_like_one_from_aws(store):
    # INV-20; real manifests have two spaces of indent and a space on both sides of the colon
    written = write_report(store, spec(rows_per_part=2), [batch(0, 3)], seed=7)
    first, second = written.parts
    assert body_of(store, MANIFEST).decode() == (
        "{\n"
        '  "sourceBucket" : "photos",\n'
        '  "destinationBucket" : "arn:aws:s3:::inv",\n'
        '  "version" : "2016-11-30",\n'
        '  "creationTimestamp" : "1748826000000",\n'
        '  "fileFormat" : "CSV",\n'
        '  "fileSchema" : "Bucket, Key, Size",\n'
        '  "files" : [ {\n'
        f'    "key" : "{first.key}",\n'
        f'    "size" : {first.size_bytes},\n'
        f'    "MD5checksum" : "{first.md5}"\n'
        "  }, {\n"
        f'    "key" : "{second.key}",\n'
        f'    "size" : {second.size_bytes},\n'
        f'    "MD5checksum" : "{second.md5}"\n'
        "  } ]\n"
        "}"
    )


def test_sizes_and_checksums_are_those_of_the_stored_bytes(store):
    written = write_report(store, spec(rows_per_part=2), [batch(0, 5)])
    for part in written.parts:
        body = body_of(store, part.key)
        assert (len(body), hashlib.md5(body).hexdigest()) == (part.size_bytes, part.md5)
    manifest = body_of(store, MANIFEST)
    assert written.manifest_md5 == hashlib.md5(manifest).hexdigest()
    assert body_of(store, CHECKSUM) == written.manifest_md5.encode() + b"\n"
    assert written.size_bytes == sum(part.size_bytes for part in written.parts)


def test_symlinks_name_every_part(store):
    written = write_report(store, spec(rows_per_part=2), [batch(0, 5)])
    lines = body_of(store, SYMLINK).decode().splitlines()
    assert lines == [f"s3://inv/{part.key}" for part in written.parts]


@pytest.mark.parametrize("prefix", ["", "/", "reports", "reports/", "/reports/"])
def test_slashes_around_the_prefix_never_double(store, prefix):
    # readers look under `p/src/...`; AWS with a trailing slash writes `p//src/...`
    written = write_report(store, spec(destination=S3Url("inv", prefix)), [batch(0, 1)])
    expected = "reports/photos/daily/" if prefix.strip("/") else "photos/daily/"
    assert all(key.startswith(expected) for key in keys_in(store))
    assert all("//" not in key for key in keys_in(store))
    assert written.manifest_url.key.startswith(expected)


def test_the_stamp_is_the_minute_in_utc(store):
    zone = timezone(timedelta(hours=5, minutes=30))
    written = write_report(store, spec(stamp=STAMP.astimezone(zone)), [batch(0, 1)])
    assert written.manifest_url.key == MANIFEST
    assert json.loads(body_of(store, MANIFEST))["creationTimestamp"] == "1748826000000"


def test_a_bucket_without_objects_has_a_report_without_files(store):
    # edge case 29: the reader guards it, the writer says it
    written = write_report(store, spec(), [batch(0, 0)])
    manifest = json.loads(body_of(store, MANIFEST))
    assert (written.rows, written.parts, manifest["files"]) == (0, (), [])
    assert manifest["fileSchema"] == "Bucket, Key, Size"
    assert body_of(store, SYMLINK) == b""


def test_no_batches_at_all_still_give_a_schema(store):
    write_report(store, spec(), [])
    schema = json.loads(body_of(store, MANIFEST))["fileSchema"]
    assert schema == "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass"


# --- rows ----------------------------------------------------------------------------------------


def test_parts_hold_exactly_their_rows_whatever_the_batches(store):
    batches = [batch(0, 4), batch(4, 0), batch(4, 7), batch(11, 2)]
    written = write_report(store, spec(rows_per_part=5), batches)
    assert [part.rows for part in written.parts] == [5, 5, 3]
    rows = [row for part in written.parts for row in rows_of(store, part)]
    assert [unquote_plus(row[1]) for row in rows] == [f"k {number:05d}" for number in range(13)]


def test_batches_are_not_gathered_before_the_first_part_goes_out(store):
    # bounded memory: part 1 is stored before batch 3 is asked for
    seen = []

    def batches():
        for start in range(0, 6, 2):
            seen.append(len([key for key in keys_in(store) if "/data/" in key]))
            yield batch(start, 2)

    write_report(store, spec(rows_per_part=2), batches())
    assert seen == [0, 0, 1]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_names(store):
    def contents(seed):
        fresh = MemoryStore()
        fresh.describe("CreateBucket", "inv")
        write_report(fresh, spec(rows_per_part=2), [batch(0, 5)], seed=seed)
        return {key: fresh.get("inv", key).read() for key in keys_in(fresh)}

    assert contents(1) == contents(1)
    assert contents(1).keys() != contents(2).keys()


def test_progress_counts_rows(store):
    class Watch:
        rows = 0

        def phase(self, name, total, unit):
            assert unit == "rows"

        def advance(self, amount):
            self.rows += amount

        def note(self, text):
            raise AssertionError(text)

    watch = Watch()
    write_report(store, spec(rows_per_part=4), [batch(0, 5), batch(5, 5)], progress=watch)
    assert watch.rows == 10


# --- refusals ------------------------------------------------------------------------------------


def test_a_second_report_of_the_same_minute_is_refused(store):
    # INV-20
    write_report(store, spec(), [batch(0, 1)])
    before = {key: body_of(store, key) for key in keys_in(store)}
    with pytest.raises(ReportExistsError) as caught:
        write_report(store, spec(), [batch(0, 2)])
    assert MANIFEST in caught.value.message
    assert {key: body_of(store, key) for key in keys_in(store)} == before


def test_overwrite_replaces_the_manifest(store):
    write_report(store, spec(), [batch(0, 1)])
    again = write_report(store, spec(), [batch(0, 2)], overwrite=True)
    files = json.loads(body_of(store, MANIFEST))["files"]
    assert [file["key"] for file in files] == [part.key for part in again.parts]
    assert body_of(store, CHECKSUM).decode().strip() == again.manifest_md5


@pytest.mark.parametrize(
    "changes",
    [
        {"config_id": "a/b"},
        {"config_id": ""},
        {"rows_per_part": 0},
        {"stamp": datetime.fromisoformat("2025-01-01T00:00:00")},
    ],
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(InvalidSettingError):
        spec(**changes)


def test_format_names_are_taken_in_any_case():
    assert parse_format(" parquet ") is ReportFormat.PARQUET
    with pytest.raises(InvalidSettingError, match="xml"):
        parse_format("xml")


def test_a_batch_that_lacks_a_column_fails_the_report(store):
    lacking = pa.RecordBatch.from_pydict({"key": ["k"]}, schema=object_schema([]))
    with pytest.raises(ReportWriteError, match="size_bytes"):
        write_report(store, spec(), [batch(0, 1), lacking])
    assert keys_in(store) == []


def test_a_row_without_a_key_fails_the_report(store):
    rows = pa.RecordBatch.from_pydict({"key": pa.array([None], pa.string())})
    with pytest.raises(ReportWriteError, match="without a key"):
        write_report(store, spec(), [rows])
    assert keys_in(store) == []


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", list(ReportFormat))
def test_a_failure_at_any_write_leaves_nothing(store, file_format):
    # INV-20
    wanted = spec(rows_per_part=2, file_format=file_format)
    smooth = Recorder(store)
    write_report(smooth, wanted, [batch(0, 5)])
    assert smooth.writes[-3:] == [SYMLINK, MANIFEST, CHECKSUM]
    for fail_at in range(len(smooth.writes)):
        fresh = MemoryStore()
        fresh.describe("CreateBucket", "inv")
        with pytest.raises(StoreUnavailableError):
            write_report(Recorder(fresh, fail_at), wanted, [batch(0, 5)])
        assert keys_in(fresh) == [], fail_at


def test_a_run_killed_at_any_write_leaves_no_checksum(store):
    # a kill cleans nothing up: whatever is there then must not look like a delivery
    class Killed(BaseException):
        pass

    class Dying(Recorder):
        def _note(self, what):
            self.writes.append(what)
            if len(self.writes) - 1 == self.fail_at:
                self.fail_at = 0
                raise Killed

        def delete(self, bucket, keys):
            raise Killed

    smooth = Recorder(store)
    write_report(smooth, spec(rows_per_part=2), [batch(0, 5)])
    for fail_at in range(len(smooth.writes)):
        fresh = MemoryStore()
        fresh.describe("CreateBucket", "inv")
        with pytest.raises(Killed):
            write_report(Dying(fresh, fail_at), spec(rows_per_part=2), [batch(0, 5)])
        assert CHECKSUM not in keys_in(fresh)


def test_a_failing_source_of_rows_leaves_nothing(store):
    def batches():
        yield batch(0, 3)
        raise StoreUnavailableError("the listing broke off")

    with pytest.raises(StoreUnavailableError, match="broke off"):
        write_report(store, spec(rows_per_part=2), batches())
    assert keys_in(store) == []


def test_a_failed_overwrite_before_publishing_keeps_the_old_delivery(store):
    write_report(store, spec(), [batch(0, 1)])
    before = {key: body_of(store, key) for key in keys_in(store)}
    with pytest.raises(StoreUnavailableError):
        write_report(Recorder(store, 0), spec(), [batch(0, 2)], overwrite=True)
    assert {key: body_of(store, key) for key in keys_in(store)} == before


def test_a_failed_overwrite_while_publishing_never_pairs_an_old_checksum(store):
    write_report(store, spec(), [batch(0, 1)])
    with pytest.raises(StoreUnavailableError):
        write_report(Recorder(store, 2), spec(), [batch(0, 2)], overwrite=True)
    assert CHECKSUM not in keys_in(store)


def test_when_the_cleaning_up_fails_too_the_first_error_is_told(store):
    class Broken(Recorder):
        def delete(self, bucket, keys):
            raise StoreUnavailableError("cannot delete either")

    with pytest.raises(StoreUnavailableError, match="away at"):
        write_report(Broken(store, 1), spec(rows_per_part=2), [batch(0, 5)])


def test_leaving_the_writer_without_finish_publishes_nothing(store):
    with ReportWriter(store, spec(columns=("key",))) as writer:
        writer.write_part(0, [batch(0, 2)])
    assert keys_in(store) == []


# --- uploads -------------------------------------------------------------------------------------

MIB = 1024 * 1024


def test_a_large_part_is_uploaded_in_chunks_and_never_held_whole(store):
    recorder = Recorder(store)
    sink = PartSink(recorder, "inv", "big", chunk_bytes=5 * MIB)
    payload = bytes(range(256)) * (11 * MIB // 256)
    for start in range(0, len(payload), MIB):
        sink.write(memoryview(payload)[start : start + MIB])
        assert len(sink._held) <= 6 * MIB
    sink.finish()
    assert recorder.writes == [
        "begin big",
        "part 1 of big",
        "part 2 of big",
        "part 3 of big",
        "complete big",
    ]
    assert body_of(store, "big") == payload
    assert (sink.size_bytes, sink.md5) == (len(payload), hashlib.md5(payload).hexdigest())


def test_a_part_of_exactly_one_chunk_is_one_put(store):
    recorder = Recorder(store)
    sink = PartSink(recorder, "inv", "even", chunk_bytes=5 * MIB)
    sink.write(bytes(5 * MIB))
    sink.finish()
    assert recorder.writes == ["even"]


@pytest.mark.parametrize("fail_at", [0, 1, 2, 3])
def test_a_failed_upload_is_aborted(store, fail_at, monkeypatch):
    # INV-20
    monkeypatch.setattr(PartSink.__init__, "__kwdefaults__", {"chunk_bytes": 5 * MIB})
    noise = hashlib.shake_128(b"").hexdigest(6 * MIB)
    rows = pa.RecordBatch.from_pydict(
        {"key": [noise[start : start + 1000] for start in range(0, len(noise), 1000)]}
    )
    recorder = Recorder(store, fail_at)
    with pytest.raises(StoreUnavailableError):
        write_report(recorder, spec(), [rows])
    assert len(recorder.writes) == fail_at + 1
    assert keys_in(store) == []
    assert recorder.uploads_open == 0
