"""One run of a command: its settings, output, clock and meter, and what they open.

Rooms below are imported when they are opened, so that help and usage errors stay fast.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from stocktake.cli._output import Output
from stocktake.cli._progress import Watched, watch
from stocktake.clock import Clock, SystemClock
from stocktake.settings import SETTINGS, Settings, load_settings
from stocktake.telemetry import Meter, logger

if TYPE_CHECKING:
    from stocktake.catalog import Catalog
    from stocktake.store import S3StoreOptions, Store


class Run:
    """What a command works with."""

    def __init__(
        self, settings: Settings, out: Output, options: Mapping[str, Any], clock: Clock
    ) -> None:
        self.settings = settings
        self.out = out
        self.clock = clock
        self.meter = Meter()
        self._options = options
        self._stores: list[Store] = []

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Run:
        """The run that these common options ask for; `given["out"]` is its output."""
        out: Output = given["out"]
        out.json = bool(given.get("json"))
        out.quiet = bool(given.get("quiet"))
        out.verbose = bool(given.get("verbose"))
        out.no_color = out.no_color or bool(given.get("no_color"))
        if out.verbose:
            _log_to(out)
        options = {s.name: given[s.name] for s in SETTINGS if s.name in given}
        return cls(load_settings(options), out, options, SystemClock())

    def with_options(self, **options: Any) -> Run:
        """The same run with further options of the command; None is "not given"."""
        merged = {**self._options, **options}
        other = Run(load_settings(merged), self.out, merged, self.clock)
        other._stores = self._stores
        return other

    @property
    def given(self) -> Mapping[str, Any]:
        """The common settings that this command line names."""
        return self._options

    def close(self) -> None:
        """Give back the connections of every store that was opened, also by `with_options`."""
        while self._stores:
            self._stores.pop().close()

    def watch(self) -> AbstractContextManager[Watched]:
        """Progress for a long job: bars on a terminal, plain lines elsewhere."""
        return watch(self.out, self.clock)

    def open_store(self) -> Store:
        """The object store that the settings name. Counts into `meter`."""
        from stocktake.store import open_store

        return self._keep(open_store(self.store_options(), meter=self.meter, clock=self.clock))

    def _keep(self, store: Store) -> Store:
        self._stores.append(store)
        return store

    def store_options(self) -> S3StoreOptions:
        """How the settings say that the object store is reached, and as whom."""
        from stocktake.store import RetryPolicy, S3StoreOptions

        settings = self.settings
        explicit = self._options if settings.anonymous else {}
        return S3StoreOptions(
            endpoint_url=settings.endpoint_url,
            region=settings.region,
            # a configured identity gives way to --anonymous; two options are a contradiction
            profile=explicit.get("profile") if settings.anonymous else settings.profile,
            role_arn=explicit.get("role_arn") if settings.anonymous else settings.role_arn,
            anonymous=settings.anonymous,
            requester_pays=settings.requester_pays,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            retry=RetryPolicy(attempts_max=settings.attempts),
        )

    def open_catalog(self, *, create: bool = False) -> Catalog:
        """The catalog that the settings name. Use it as a context manager."""
        from stocktake.catalog import open_catalog

        settings = self.settings
        store = self.open_store() if settings.catalog.startswith("s3://") else None
        return open_catalog(
            settings.catalog,
            state_url=settings.state_url,
            create=create,
            store=store,
            clock=self.clock,
            memory_mb=settings.memory_mb,
        )


class _OutputHandler(logging.Handler):
    """Log records as dim lines on stderr."""

    def __init__(self, out: Output) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._out.detail(self.format(record))


def _log_to(out: Output) -> None:
    logger.setLevel(logging.DEBUG)
    logger.handlers[:] = [_OutputHandler(out)]
