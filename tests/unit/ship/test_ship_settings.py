"""Settings of shipping (SHP-1): where they come from, and what is refused with which words."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from stocktake.convert import ConvertOptions
from stocktake.errors import MissingExtraError, ShipSettingError
from stocktake.settings import load_settings
from stocktake.ship import ShipSettings
from stocktake.ship._settings_layers import environment_layer
from stocktake.ship._settings_reading import load_ship_settings
from stocktake.ship._settings_table import SHIP_SETTINGS
from stocktake.ship._settings_values import parse_bytes, parse_duration
from stocktake.store import S3StoreOptions
from stocktake.unpack import UnpackLimits

SECRET = "wJalrXUtnFEMI/K7MDENG"


@dataclass
class Project:
    """A directory with a folder to watch; settings are read from there and from nowhere else."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "in").mkdir()
        self.environ |= {"HOME": str(self.root / "home")}

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, options: Mapping[str, Any] | None = None, **arguments: Any) -> ShipSettings:
        given = {"folder": self.root / "in", "bucket": "landing", **(options or {})}
        return self.load_only(given, **arguments)

    def load_only(self, options: Mapping[str, Any], **arguments: Any) -> ShipSettings:
        return load_ship_settings(options, environ=self.environ, project_dir=self.root, **arguments)

    def refused(self, options: Mapping[str, Any] | None = None, **arguments: Any) -> str:
        with pytest.raises(ShipSettingError) as caught:
            self.load(options, **arguments)
        text = json.dumps(caught.value.to_dict())
        assert SECRET not in text
        return f"{caught.value.message}; {caught.value.hint}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_shp_1_folder_and_bucket_are_enough(project: Project) -> None:
    settings = project.load()
    assert settings.folder == project.root / "in"
    assert (settings.bucket, settings.prefix) == ("landing", "")
    assert settings.error_folder == project.root / "in" / ".stocktake-failed"
    assert settings.state_folder.parent == project.root / "home/.local/share/stocktake/ship"
    assert settings.state_folder.name.startswith("in-")
    defaults = ShipSettings(folder=settings.folder, bucket="landing")
    for name in ("settle_s", "uploads", "limits", "convert", "on_collision", "log_level"):
        assert getattr(settings, name) == getattr(defaults, name)


def test_shp_1_the_ledger_has_a_folder_for_each_destination(project: Project) -> None:
    project.environ["XDG_DATA_HOME"] = str(project.root / "data")
    other = project.root / "other" / "in"
    other.mkdir(parents=True)
    names = {
        project.load(options).state_folder.name
        for options in (
            {},
            {"bucket": "other"},
            {"prefix": "a"},
            {"endpoint_url": "http://127.0.0.1:9000"},
            {"folder": other},
        )
    }
    assert len(names) == 5
    assert project.load().state_folder == project.load().state_folder
    assert project.load().state_folder.is_relative_to(project.root / "data")


def test_shp_1_the_first_place_that_has_a_value_counts(project: Project) -> None:
    project.write("home/.config/stocktake/config.toml", "[ship]\nuploads = 1\nworkers = 9\n")
    assert (project.load().uploads, project.load().workers) == (1, 9)
    project.write("stocktake.toml", 'catalog = "c"\n[ship]\nuploads = 2\n')
    assert (project.load().uploads, project.load().workers) == (2, 9)
    project.write(".env", "STOCKTAKE_SHIP_UPLOADS=3\nOTHER=1\n")
    assert project.load().uploads == 3
    project.environ["STOCKTAKE_SHIP_UPLOADS"] = "4"
    assert project.load().uploads == 4
    assert project.load({"uploads": "5"}).uploads == 5
    project.environ["STOCKTAKE_SHIP_UPLOADS"] = ""
    assert project.load().uploads == 3


def test_shp_1_everything_from_an_env_file(project: Project) -> None:
    project.write(
        "elsewhere/ship.env",
        "# where from, where to\n"
        "export STOCKTAKE_SHIP_FOLDER=../in\n"
        "STOCKTAKE_SHIP_BUCKET='s3://landing/a/b'\n"
        "STOCKTAKE_SHIP_STATE_FOLDER=state\n"
        'STOCKTAKE_SHIP_SETTLE_S="5s"\n'
        "AWS_ACCESS_KEY_ID=AKIA\n"
        f"AWS_SECRET_ACCESS_KEY={SECRET}\n"
        "AWS_SESSION_TOKEN=session\n"
        "AWS_ENDPOINT_URL=http://127.0.0.1:9000\n"
        "AWS_DEFAULT_REGION=eu-central-1\n",
    )
    settings = project.load_only({}, env_file=project.root / "elsewhere" / "ship.env")
    assert settings.folder == project.root / "in"
    assert (settings.bucket, settings.prefix) == ("landing", "a/b/")
    assert settings.state_folder == project.root / "elsewhere" / "state"
    assert settings.settle_s == 5
    store = settings.store
    assert (store.access_key_id, store.secret_access_key) == ("AKIA", SECRET)
    assert (store.session_token, store.region) == ("session", "eu-central-1")
    assert store.endpoint_url == "http://127.0.0.1:9000"


def test_shp_1_secrets_are_in_no_repr(project: Project) -> None:
    project.environ |= {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET}
    settings = project.load()
    assert settings.store.secret_access_key == SECRET
    assert SECRET not in repr(settings)
    assert "AKIA" not in repr(settings)
    assert SECRET not in repr(environment_layer(project.environ, "", project.root))


def test_shp_1_credentials_are_taken_whole_from_one_place(project: Project) -> None:
    project.write(".env", f"AWS_ACCESS_KEY_ID=file\nAWS_SECRET_ACCESS_KEY={SECRET}\n")
    assert project.load().store.access_key_id == "file"
    project.environ["AWS_PROFILE"] = "work"
    store = project.load().store
    assert (store.profile, store.access_key_id, store.secret_access_key) == ("work", None, None)
    assert project.load({"profile": "home"}).store.profile == "home"
    project.environ |= {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "own"}
    store = project.load().store
    assert (store.profile, store.access_key_id, store.secret_access_key) == (None, "env", "own")
    del project.environ["AWS_SECRET_ACCESS_KEY"]
    assert "`AWS_SECRET_ACCESS_KEY` is not" in project.refused()


def test_shp_1_half_of_the_credentials_names_the_file(project: Project) -> None:
    env_file = project.write(".env", f"AWS_SECRET_ACCESS_KEY={SECRET}\n")
    said = project.refused()
    assert f"`AWS_SECRET_ACCESS_KEY` in `{env_file}` is set" in said
    assert "`AWS_ACCESS_KEY_ID` is not" in said


def test_shp_1_what_all_of_stocktake_reads_counts_too(project: Project) -> None:
    project.write("stocktake.toml", 'region = "eu-west-1"\nendpoint_url = "http://127.0.0.1:1"\n')
    project.environ["STOCKTAKE_ENDPOINT_URL"] = "http://127.0.0.1:2"
    store = project.load().store
    assert (store.region, store.endpoint_url) == ("eu-west-1", "http://127.0.0.1:2")
    project.environ["STOCKTAKE_SHIP_ENDPOINT_URL"] = "http://127.0.0.1:3"
    assert project.load().store.endpoint_url == "http://127.0.0.1:3"


def test_shp_1_the_other_commands_let_them_pass(project: Project) -> None:
    project.write("stocktake.toml", "workers = 3\n[ship]\nuploads = 2\n")
    project.environ["STOCKTAKE_SHIP_WORKERS"] = "4"
    assert load_settings(environ=project.environ, project_dir=project.root).workers == 3


@pytest.mark.parametrize("name", ["folder", "bucket"])
def test_shp_1_a_missing_setting_is_named(project: Project, name: str) -> None:
    said = project.refused({name: None})
    assert f"`{name}` is not set" in said
    assert f"--{name}" in said
    assert f"STOCKTAKE_SHIP_{name.upper()}" in said


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("STOCKTAKE_SHIP_BUCKETT", "STOCKTAKE_SHIP_BUCKET"),
        ("STOCKTAKE_SHIP_ERROR_DIR", "STOCKTAKE_SHIP_ERROR_FOLDER"),
        ("STOCKTAKE_SHIP_SETTLE", "STOCKTAKE_SHIP_SETTLE_S"),
    ],
)
def test_shp_1_a_misspelt_variable_is_refused(project: Project, variable: str, near: str) -> None:
    project.environ[variable] = SECRET
    said = project.refused()
    assert f"`{variable}` in the environment is not a setting" in said
    assert near in said


def test_shp_1_a_misspelt_key_of_a_file_is_refused(project: Project) -> None:
    path = project.write("stocktake.toml", "[ship]\nsettel_s = 1\n")
    said = project.refused()
    assert f"`settel_s` in [ship] of `{path}` is not a setting; did you mean `settle_s`?" in said


def test_shp_1_secrets_in_the_toml_file_are_refused_unseen(project: Project) -> None:
    project.write("stocktake.toml", f'[ship]\nsecret_access_key = "{SECRET}"\n')
    assert "AWS_SECRET_ACCESS_KEY" in project.refused()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("uploads", "many", "is `many`: not a whole number"),
        ("uploads", "0", "the smallest value is 1"),
        ("workers", "-1", "the smallest value is 1"),
        ("settle_s", "-1", "the smallest value is 0s"),
        ("settle_s", "soon", "not a duration such as 30s or 5m"),
        ("part_bytes_min", "5MB", "the smallest value is 5MiB"),
        ("part_bytes_min", "6GiB", "the largest value is 5GiB"),
        ("file_bytes_max", "big", "not a size such as 64MB or 10GiB"),
        ("checksum", "perhaps", "not true or false"),
        ("on_collision", "sufix", "not fail or suffix; did you mean `suffix`?"),
        ("archive_root", "steam", "did you mean `stem`?"),
        ("compression", "gzip", "not zstd or snappy"),
        ("schema", "[1]", "not a table of column types"),
        ("delimiter", "||", "it is not one character"),
        ("fallback_encoding", "klingon", "there is no such encoding"),
        ("done_marker", ".part", "suffix of unfinished files"),
        ("done_marker", "a/b", "it is no suffix"),
        ("dataset", "a/b", "it is part of a key"),
        ("prefix", "/a", "an empty part"),
        ("prefix", "a//b", "an empty part"),
        ("prefix", "a/../b", "`..`"),
        ("prefix", ".stocktake/x", "stocktake's own"),
        ("prefix", "a\nb", "not text"),
        ("prefix", "x" * 600, "more than 512 bytes"),
        ("bucket", "no bucket", "not a bucket"),
        ("bucket", "s3:/landing", "not a bucket"),
        ("endpoint_url", "127.0.0.1:9000", "not an http:// or https:// address"),
        ("settle_s", "60s", "`settle_unknown_s` (the default) is `20s`: it is shorter"),
        ("incomplete_grace_s", "1s", "it is shorter than settle_s (2s)"),
        ("small_max_bytes", "1GiB", "twice of it is more than worker_memory_bytes"),
        ("worker_memory_bytes", "1MiB", "the smallest value is 64MiB"),
    ],
)
def test_shp_1_a_bad_value_is_named_with_its_place(
    project: Project, name: str, value: str, said: str
) -> None:
    variable = f"STOCKTAKE_SHIP_{name.upper()}"
    env_file = project.write(".env", f"{variable}='{value}'\n")
    options = {} if name != "bucket" else {"bucket": None}
    text = project.refused(options)
    assert said in text
    if "(the default)" not in text:
        assert f"(`{variable}` in `{env_file}`)" in text


def test_shp_1_a_password_in_the_endpoint_is_refused_unseen(project: Project) -> None:
    said = project.refused({"endpoint_url": f"http://me:{SECRET}@127.0.0.1:9000"})
    assert "a user or a password" in said


def test_shp_1_bucket_and_prefix_may_say_the_same(project: Project) -> None:
    assert project.load({"bucket": "s3://landing/a/", "prefix": "a"}).prefix == "a/"
    said = project.refused({"bucket": "s3://landing/a", "prefix": "b"})
    assert "`bucket` (--bucket) has the prefix `a`, `prefix` (--prefix) is `b`" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folder": "{root}/gone"}, "there is no such folder"),
        ({"folder": "{root}/file"}, "it is not a folder"),
        ({"state_folder": "{root}/in/state"}, "`state_folder` (--state-folder)"),
        ({"state_folder": "{root}/in"}, "inside the watched folder"),
        ({"error_folder": "{root}/in"}, "the watched folder"),
        ({"error_folder": "{root}"}, "is inside it"),
        ({"error_folder": "{root}/s", "state_folder": "{root}/s/t"}, "shares a folder"),
        ({"error_folder": "{root}/s/t", "state_folder": "{root}/s"}, "shares a folder"),
    ],
)
def test_shp_1_folders_that_cannot_be_meant(
    project: Project, options: dict[str, str], said: str
) -> None:
    project.write("file", "")
    placed = {name: value.format(root=project.root) for name, value in options.items()}
    assert said in project.refused(placed)


def test_shp_1_an_unreadable_folder_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "it cannot be read" in project.refused()


def test_shp_1_looking_at_the_ledger_needs_no_folder(project: Project) -> None:
    (project.root / "in").rmdir()
    assert "no such folder" in project.refused()
    assert project.load(folder_must_exist=False).bucket == "landing"


def test_shp_1_a_watched_folder_given_by_a_link_is_resolved(project: Project) -> None:
    (project.root / "link").symlink_to("in")
    assert project.load({"folder": project.root / "link"}).folder == project.root / "in"


def test_shp_1_an_env_file_that_is_not_there(project: Project) -> None:
    said = project.refused(env_file=project.root / "gone.env")
    assert "--env-file" in said


def test_shp_1_an_env_file_that_is_no_env_file_tells_the_line_only(project: Project) -> None:
    path = project.write(".env", f"A=1\n\n'{SECRET}\n")
    assert f"line 3 of `{path}` is no assignment" in project.refused()
    path.write_bytes(b"A=\xff")
    assert "not UTF-8" in project.refused()


def test_shp_1_without_python_dotenv_a_file_is_not_passed_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dotenv.main", None)
    project.load()
    project.write(".env", "A=1\n")
    with pytest.raises(MissingExtraError, match="python-dotenv") as caught:
        project.load()
    assert "stocktake[ship]" in (caught.value.hint or "")


def test_shp_1_a_broken_toml_file(project: Project) -> None:
    path = project.write("stocktake.toml", "[ship\n")
    assert str(path) in project.refused()
    project.write("stocktake.toml", "ship = 1\n")
    assert "is no table" in project.refused()


def test_shp_1_settings_of_archives_and_tables(project: Project) -> None:
    project.write(
        "stocktake.toml",
        '[ship]\narchive_root = "flat"\narchive_bytes_max = "1TiB"\narchive_depth_max = 0\n'
        'delimiter = ";"\nheader = false\nbad_rows_max = 3\nuploads = 40\n'
        '[ship.schema]\nid = "int64"\n',
    )
    settings = project.load()
    assert not settings.nested_folder
    assert (settings.limits.total_bytes_max, settings.limits.depth_max) == (1 << 40, 0)
    convert = settings.convert
    assert (convert.delimiter, convert.header, convert.bad_rows_max) == (";", False, 3)
    assert convert.schema == {"id": "int64"}
    assert settings.store.concurrency > 40
    project.environ["STOCKTAKE_SHIP_SCHEMA"] = '{"id": "string"}'
    assert project.load().convert.schema == {"id": "string"}


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("64", 64),
        (64, 64),
        ("64MB", 64_000_000),
        ("64 MiB", 64 << 20),
        ("64M", 64 << 20),
        ("1.5k", 1536),
        ("10gib", 10 << 30),
        ("7B", 7),
        ("2TB", 2 * 10**12),
        ("", None),
        ("MB", None),
        ("1.5", None),
        ("-1", None),
        ("1XB", None),
        (True, None),
        (1.5, None),
    ],
)
def test_shp_1_sizes(text: object, size_bytes: int | None) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("250ms", 0.25),
        ("1.5", 1.5),
        (2, 2),
        ("1m 30s", 90),
        ("", None),
        ("5 minutes", None),
        ("s", None),
        ("nan", None),
        ("inf", None),
        (True, None),
    ],
)
def test_shp_1_durations(text: object, duration_s: float | None) -> None:
    assert parse_duration(text) == duration_s


def test_shp_1_every_field_has_a_setting_and_every_setting_a_field() -> None:
    owners = {
        "ship": ShipSettings,
        "store": S3StoreOptions,
        "limits": UnpackLimits,
        "convert": ConvertOptions,
    }
    for setting in SHIP_SETTINGS:
        assert setting.field in {one.name for one in fields(owners[setting.owner])}, setting.name
    of_settings = {(one.owner, one.field) for one in SHIP_SETTINGS}
    parts = {"store", "limits", "convert"}
    for owner in ("ship", "limits", "convert"):
        for one in fields(owners[owner]):
            assert one.name in parts or (owner, one.name) in of_settings, (owner, one.name)
    assert len({one.name for one in SHIP_SETTINGS}) == len(SHIP_SETTINGS)


@pytest.mark.parametrize("setting", SHIP_SETTINGS, ids=lambda one: one.name)
def test_shp_1_defaults_lie_within_their_bounds(setting: Any) -> None:
    default = setting.default
    if default is not None and not isinstance(default, bool):
        assert setting.minimum is None or default >= setting.minimum
        assert setting.maximum is None or default <= setting.maximum
        assert not setting.choices or default in setting.choices
