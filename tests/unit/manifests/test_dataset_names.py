"""What may be called a dataset: MAN-1."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_world import BUCKET, NOW, new_dataset
from stocktake.clock import FixedClock
from stocktake.errors import DatasetNotFoundError, UsageError
from stocktake.manifests import DatasetSpec, create_dataset, open_dataset
from stocktake.state import open_state


@pytest.mark.parametrize(
    "spec",
    [
        DatasetSpec("", "", BUCKET, "x/"),
        DatasetSpec("a/b", "", BUCKET, "x/"),
        DatasetSpec("a\nb", "", BUCKET, "x/"),
        DatasetSpec("\ud800", "", BUCKET, "x/"),
        DatasetSpec(" a", "", BUCKET, "x/"),
        DatasetSpec("x" * 129, "", BUCKET, "x/"),
        DatasetSpec("a", "line\nbreak", BUCKET, "x/"),
        DatasetSpec("a", "", "no bucket", "x/"),
        DatasetSpec("a", "", BUCKET, "x"),
        DatasetSpec("a", "", BUCKET, "x/.stocktake/"),
        DatasetSpec("a", "", BUCKET, "\ud800/"),
    ],
)
def test_what_cannot_be_a_dataset(tmp_path: Path, spec: DatasetSpec) -> None:
    with (
        open_state(f"sqlite:///{tmp_path}/state.db", clock=FixedClock(NOW)) as state,
        pytest.raises(UsageError),
    ):
        create_dataset(state, spec)


def test_an_unknown_dataset_names_near_ones(tmp_path: Path) -> None:
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=FixedClock(NOW)) as state:
        known = new_dataset(state)
        with pytest.raises(DatasetNotFoundError) as caught:
            open_dataset(state, known.id + "x")
    assert known.id in (caught.value.hint or "")
