"""Settings of shipping from options, environment, `.env`, `stocktake.toml` and defaults.

A value is taken from the first place that has it:

1. the command's option;
2. the environment: `STOCKTAKE_SHIP_...`, then what all of stocktake reads, then `AWS_...`;
3. the same variables in the file given by `--env-file`, else in `.env` of the current directory;
4. the table `[ship]` of `stocktake.toml` there, then that of the user's `config.toml`;
5. the default.

Credentials are taken whole from one place: a key of the environment is never used with a secret of
a file. No message and no `repr` shows them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stocktake.convert import ConvertOptions
from stocktake.errors import InvalidUrlError, ShipSettingError
from stocktake.model import S3Url
from stocktake.ship._settings import ShipSettings
from stocktake.ship._settings_checks import check_endpoint, check_folder, check_settings_agree
from stocktake.ship._settings_identity import Credentials, choose_identity
from stocktake.ship._settings_layers import (
    Layer,
    Origins,
    environment_layer,
    file_layers,
    option_layer,
    read_env_file,
)
from stocktake.ship._settings_table import SHIP_SETTINGS
from stocktake.store import S3StoreOptions
from stocktake.unpack import UnpackLimits

FAILED_NAME = ".stocktake-failed"
"""The default error folder, inside the watched one: same file system, so a move is a rename."""

_SPARE_CONNECTIONS = 8
_NAME_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS_MAX = 40
_HASH_CHARS = 12


def load_ship_settings(
    options: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    project_dir: Path | None = None,
    folder_must_exist: bool = True,
) -> ShipSettings:
    """The settings in force.

    Args:
        options: Values by setting name (`SHIP_SETTINGS`); None is "not given".
        environ: Environment to read; the process's own by default.
        env_file: A file of variables that must be there; None reads `.env` if there is one.
        project_dir: Where `.env` and `stocktake.toml` may lie; the current directory by default.
        folder_must_exist: False for commands that only look at the ledger.

    Raises:
        ShipSettingError: A setting is missing, unknown, malformed or contradicts another one.
        MissingExtraError: There is a `.env` file and nothing that reads it.
    """
    env = os.environ if environ is None else environ
    place = Path.cwd() if project_dir is None else project_dir
    layers = [option_layer(options or {}), environment_layer(env, "", Path.cwd())]
    env_file_used = place / ".env" if env_file is None else env_file
    variables = read_env_file(env_file_used, must_exist=env_file is not None)
    layers.append(environment_layer(variables, f" in `{env_file_used}`", env_file_used.parent))
    layers += file_layers(env, place)
    settings, origins = _build(layers, env)
    check_settings_agree(settings, origins)
    if folder_must_exist:
        check_folder(settings, origins)
    return settings


def _build(layers: list[Layer], env: Mapping[str, str]) -> tuple[ShipSettings, Origins]:
    credentials = choose_identity(layers)
    values: dict[str, Any] = {}
    origins: Origins = {}
    for layer in reversed(layers):
        values |= layer.values
        origins |= layer.origins
    _split_bucket(values, origins)
    if "endpoint_url" in values:
        check_endpoint(values["endpoint_url"], origins)
    for needed in ("folder", "bucket"):
        if needed not in values:
            raise _missing(needed)
    owned: dict[str, dict[str, Any]] = {"ship": {}, "store": {}, "limits": {}, "convert": {}}
    for setting in SHIP_SETTINGS:
        if setting.name in values:
            owned[setting.owner][setting.field] = values[setting.name]
    own = owned["ship"]
    if "archive_root" in values:
        own["nested_folder"] = values["archive_root"] == "stem"
    for name in ("folder", "state_folder", "error_folder"):
        if name in own:
            own[name] = Path(own[name]).resolve()
    settings = ShipSettings(
        **own,
        limits=UnpackLimits(**owned["limits"]),
        convert=ConvertOptions(**owned["convert"]),
    )
    settings = replace(settings, store=_store(settings, owned["store"], credentials))
    return _with_default_folders(settings, own, env), origins


def _store(
    settings: ShipSettings, values: dict[str, Any], credentials: Credentials
) -> S3StoreOptions:
    return S3StoreOptions(
        **{**values, "profile": credentials.profile},
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        session_token=credentials.session_token,
        concurrency=settings.uploads + _SPARE_CONNECTIONS,
    )


def _split_bucket(values: dict[str, Any], origins: Origins) -> None:
    """`s3://bucket/prefix` is a bucket and a prefix; a prefix ends in `/`."""
    bucket = values.get("bucket")
    if bucket is None:
        return
    try:
        url = S3Url.parse(bucket if bucket.startswith("s3://") else f"s3://{bucket}")
    except InvalidUrlError as error:
        raise ShipSettingError(
            f"`bucket` ({origins['bucket']}) is `{bucket}`, which is not a bucket",
            hint="write a bucket's name, or s3://bucket/prefix",
            setting="bucket",
        ) from error
    given = values.get("prefix")
    if url.key:
        if given is not None and given.strip("/") != url.key.strip("/"):
            raise ShipSettingError(
                f"`bucket` ({origins['bucket']}) has the prefix `{url.key}`, `prefix` "
                f"({origins['prefix']}) is `{given}`",
                hint="say the prefix in one of them",
                setting="prefix",
            )
        values["prefix"] = url.key
        origins["prefix"] = origins["bucket"]
    values["bucket"] = url.bucket
    if values.get("prefix") and not values["prefix"].endswith("/"):
        values["prefix"] += "/"


def _with_default_folders(
    settings: ShipSettings, own: Mapping[str, Any], env: Mapping[str, str]
) -> ShipSettings:
    if "state_folder" not in own:
        home = Path(env.get("HOME") or "~").expanduser()
        data = Path(env.get("XDG_DATA_HOME") or home / ".local" / "share")
        place = data / "stocktake" / "ship" / state_name(settings)
        settings = replace(settings, state_folder=place.resolve())
    if "error_folder" not in own:
        settings = replace(settings, error_folder=settings.folder / FAILED_NAME)
    return settings


def state_name(settings: ShipSettings) -> str:
    """Name of the ledger's folder: one for each folder and destination."""
    whole = "\0".join(
        (
            os.fspath(settings.folder),
            settings.store.endpoint_url or "",
            settings.bucket,
            settings.prefix,
        )
    )
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:_HASH_CHARS]
    name = _NAME_UNSAFE.sub("-", settings.folder.name)[:_NAME_CHARS_MAX].strip("-.")
    return f"{name or 'folder'}-{digest}"


def _missing(name: str) -> ShipSettingError:
    (setting,) = (one for one in SHIP_SETTINGS if one.name == name)
    return ShipSettingError(
        f"`{name}` is not set",
        hint=f"give {setting.option}, or set {setting.env} in the environment or in .env",
        setting=name,
    )
