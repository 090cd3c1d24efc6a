"""Many workers at once, on SQLite and a real PostgreSQL: no number twice, none missed (ING-3)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from stocktake.catalog import Catalog, open_catalog
from stocktake.errors import LeaseLostError
from stocktake.ingest import open_ingestion

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))
from ingest_child import BAD, NAME, FolderSink, effects, make_ingestion

CHILD = Path(__file__).parents[1] / "crash" / "ingest_child.py"
FILES = 2_000

pytestmark = pytest.mark.servers


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return postgres.new_database()
    return f"sqlite:///{tmp_path / 'shared.db'}"


@pytest.fixture
def catalog(state_url: str, tmp_path: Path) -> Iterator[Catalog]:
    place = str(tmp_path / "catalog")
    with open_catalog(place, state_url=state_url, create=True, threads=1) as catalog:
        yield catalog


def check(catalog: Catalog, folder: Path) -> None:
    ingestion = open_ingestion(catalog, None, NAME)
    status = ingestion.status()
    assert (status.low_seq, status.in_flight, status.retries_waiting) == (FILES, (), 0)
    assert [item.key for item in ingestion.dead()] == [BAD]
    assert status.files == FILES - 1
    assert effects(folder) == sorted(set(range(1, FILES + 1)) - {1})


def test_processes_and_threads_never_share_a_number(
    catalog: Catalog, state_url: str, tmp_path: Path
) -> None:
    make_ingestion(catalog, FILES, files_max=25)
    folder = tmp_path / "out"
    command = [sys.executable, str(CHILD), catalog.location, state_url, str(folder), "3"]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    own = open_ingestion(catalog, None, NAME)
    own.run(FolderSink(folder), workers=2, discover_first=False)
    for child in children:
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    check(catalog, folder)


def test_workers_without_a_common_window_never_share_a_number(
    catalog: Catalog, tmp_path: Path
) -> None:
    """Every thread has its own reading ahead, as on several machines; some fall silent."""
    make_ingestion(catalog, FILES, files_max=40)
    sink = FolderSink(tmp_path / "out")
    seen: list[int] = []
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        ingestion = open_ingestion(catalog, None, NAME)
        turn = 0
        try:
            while (batch := ingestion.next_batch(f"w{number}")) is not None:
                turn += 1
                if turn % 5 == number:
                    batch.release()
                    with pytest.raises(LeaseLostError):
                        batch.commit()
                    continue
                with lock:
                    seen.extend(item.seq for item in batch.items)
                sink.load(batch)
                batch.commit()
        except BaseException as error:  # noqa: BLE001  shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    open_ingestion(catalog, None, NAME).run(sink, discover_first=False)
    check(catalog, tmp_path / "out")
    assert len(seen) == len(set(seen))
