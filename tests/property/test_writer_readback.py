"""Any rows, written by our writer and read by our reader, are the same rows."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.inventory import (
    ReadOptions,
    ReportAddress,
    ReportFormat,
    ReportSpec,
    open_report,
    write_report,
)
from stocktake.model import PartTally, S3Url, object_schema
from stocktake.testing import MemoryStore

any_text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
keys = any_text.filter(lambda key: len(key.encode()) <= 1024)
words = st.text(st.characters(categories=("Lu", "Nd"), max_codepoint=127), min_size=1, max_size=12)
times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
maybe = {
    "size_bytes": st.integers(0, 5 * 1024**4),
    "last_modified": times,
    "etag": st.from_regex(r"[0-9a-f]{32}(-[1-9][0-9]{0,3})?", fullmatch=True),
    "storage_class": words,
    "checksum_algorithm": words,
    "extra_object_owner": any_text.filter(lambda text: text.strip() == text),
    "extra_something_new": words,
}
always = {
    "version_id": st.one_of(st.just("null"), words.map(str.lower)),
    "is_latest": st.booleans(),
    "is_delete_marker": st.booleans(),
}


def legal(row: dict) -> dict:
    """A delete marker has no size; everything else has one, if the report has the column."""
    return row | {"size_bytes": None} if row.get("is_delete_marker") else row


@st.composite
def reports(draw) -> list[pa.RecordBatch]:
    chosen = draw(st.sets(st.sampled_from([*maybe])))
    columns = {name: st.one_of(st.none(), maybe[name]) for name in chosen}
    if "size_bytes" in columns:
        columns["size_bytes"] = maybe["size_bytes"]
    if draw(st.booleans()):
        columns |= always
    schema = object_schema(columns)
    row = st.fixed_dictionaries({"key": keys, **columns}).map(legal)
    batches = draw(st.lists(st.lists(row, max_size=8), min_size=1, max_size=4))
    return [pa.RecordBatch.from_pylist(rows, schema=schema) for rows in batches]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(reports(), st.sampled_from(list(ReportFormat)), st.integers(1, 9))
def test_rows_survive_writer_and_reader_in_every_format(batches, file_format, rows_per_part):
    # INV-20
    store = MemoryStore()
    store.describe("CreateBucket", "inv")
    spec = ReportSpec(
        destination=S3Url("inv", "p"),
        source_bucket="photos",
        config_id="c",
        stamp=datetime(2025, 6, 2, 1, 0, tzinfo=UTC),
        file_format=file_format,
        rows_per_part=rows_per_part,
    )
    write_report(store, spec, batches)
    report = open_report(
        store,
        ReportAddress.parse("s3://inv/p/photos/c"),
        options=ReadOptions(read_configuration=False),
    )
    rows, bad = [], 0
    for part in report.parts():
        tally = PartTally()
        rows += [row for block in report.read(part, tally) for row in block.rows.to_pylist()]
        bad += tally.bad_rows + tally.undecodable_keys
    assert bad == 0
    assert rows == [row for batch in batches for row in batch.to_pylist()]
