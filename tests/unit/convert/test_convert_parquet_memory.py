"""A row group goes when it is written, whatever its sink went through meanwhile. SHP-13."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stocktake.convert import ConvertOptions
from stocktake.convert._parquet_out import ParquetOut

MIB = 1 << 20
SCHEMA = pa.schema([("a", pa.int64())])


class Sink:
    """Catches an error of its own and keeps it in a local variable: a cycle of frames."""

    def write(self, data: bytes) -> None:
        try:
            {}[data]
        except KeyError as error:
            kept = error
        assert kept.__traceback__ is not None


def test_row_group_is_not_kept_by_an_error_that_the_sink_caught() -> None:
    out = ParquetOut(Sink(), SCHEMA, {}, ConvertOptions(row_group_bytes=20 * MIB))
    before = pa.total_allocated_bytes()
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 1 << 60, 20 * MIB // 8)
        out.write(pa.record_batch([pa.array(values).take(pa.array(range(len(values))))], SCHEMA))
        del values
        assert pa.total_allocated_bytes() - before < 10 * MIB
    out.close()
