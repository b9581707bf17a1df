"""Paths in settings: `~` is a home, a relative one belongs to the config, and a variable in one is refused."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from orchestrator.config_paths import real_path
from orchestrator.errors import UsageError
from orchestrator.settings import Settings, load
from workflows.cli.common import read_settings

KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def paths_in(annotation: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Find every setting whose value is a path, whatever surrounds it; a key is named `payments`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from paths_in(field.annotation, (*where, name))
    elif annotation is Path:
        yield where
    else:
        for part in get_args(annotation):
            yield from paths_in(part, (*where, "payments") if where == ("keys",) else where)


PATHS = sorted(set(paths_in(Settings)))
PLACES = [("store", "uri"), *PATHS]
each_path = pytest.mark.parametrize("where", PATHS, ids=".".join)
each_place = pytest.mark.parametrize("where", PLACES, ids=".".join)


def test_the_paths_are_found_in_the_model_of_the_settings() -> None:
    """So that one that is added later is tried below, and fails unless it is read as the others are."""
    known = {"store.identity", "run.journal", "run.after", "run.metrics", "run.lock"}

    assert {".".join(where) for where in PATHS} >= known


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a config may be written; the working directory and the home are others."""
    for name in ("conf", "elsewhere", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "conf" / "config.yaml"


def write(config: Path, **sections: Mapping[str, Any]) -> Path:
    config.write_text(yaml.safe_dump({"store": {"uri": "file:/a"}, "keys": {"payments": {"arn": KEY}}} | sections))
    return config


def given(where: tuple[str, ...], text: str) -> dict[str, Any]:
    """A section of a config that holds one path."""
    section, setting = where
    base = {"uri": "file:/a"} if section == "store" else {}
    return {section: base | {setting: f"file:{text}" if setting == "uri" else text}}


def variable(monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], text: str) -> str:
    name = f"MRK_{'__'.join(where)}".upper()
    monkeypatch.setenv(name, f"file:{text}" if where[-1] == "uri" else text)
    return name


def found(settings: Settings, where: tuple[str, ...]) -> str:
    section, setting = where
    return str(getattr(getattr(settings, section), setting)).removeprefix("file:")


WRITTEN = {
    "there/x.prom": "{root}/conf/there/x.prom",
    "./x.prom": "{root}/conf/x.prom",
    "../x.prom": "{root}/x.prom",
    "~/x.prom": "{root}/home/x.prom",
    "~//x.prom": "{root}/home/x.prom",
    "~root/x.prom": f"{os.path.expanduser('~root')}/x.prom",  # noqa: PTH111 - as a shell has it
    "a~b/x.prom": "{root}/conf/a~b/x.prom",
    "./~/x.prom": "{root}/conf/~/x.prom",
    "/srv/x.prom": "/srv/x.prom",
}


@each_place
@pytest.mark.parametrize("text", WRITTEN)
def test_a_path_in_a_config_is_found_from_every_directory(config: Path, where: tuple[str, ...], text: str) -> None:
    settings = load(write(config, **given(where, text)), {})

    assert found(settings, where) == WRITTEN[text].format(root=config.parents[1])


@each_path
@pytest.mark.parametrize(
    ("text", "expected"), {**WRITTEN, "x.prom": "{root}/elsewhere/x.prom", "../x.prom": "{root}/x.prom"}.items()
)
def test_a_path_in_a_variable_is_relative_to_where_its_writer_is(
    config: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], text: str, expected: str
) -> None:
    """As a shell's user expects, for a variable of one setting and for one of a whole section."""
    write(config, **given(where, "/other/x.prom"))
    variable(monkeypatch, where, text)

    assert found(load(config, {}), where) == expected.format(root=config.parents[1]).replace("/conf/", "/elsewhere/")


def test_the_default_of_a_path_belongs_to_the_config_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable for another setting of the section makes no difference."""
    monkeypatch.setenv("MRK_RUN", '{"looks": 4}')

    assert load(write(config), {}).run.journal == config.parent / "runs"


def test_a_path_in_a_whole_section_as_json_is_one_that_was_given_by_hand(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRK_RUN", '{"journal": "runs", "lock": "~/lock"}')

    run = load(write(config), {}).run

    assert (run.journal, run.lock) == (Path.cwd() / "runs", config.parents[1] / "home" / "lock")


@pytest.mark.parametrize("text", ["file:store", "file:./store", "file:../store"])
@pytest.mark.parametrize("name", ["MRK_STORE__URI", "MRK_STORE"])
def test_a_relative_store_in_a_variable_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """It would be another one in every directory, and what is in a store is never given back by KMS."""
    monkeypatch.setenv(name, text if name.endswith("URI") else json.dumps({"uri": text}))

    with pytest.raises(UsageError) as refused:
        load(write(config), {})

    assert refused.value.message.startswith(f"{name}: store.uri '{text}' is a relative path")
    assert "write file:/" in refused.value.hint


@pytest.mark.parametrize("uri", ["secretsmanager:us-east-1/mrk", "file:", "file://", "file://host/store", "floppy:a"])
def test_what_is_no_relative_path_in_a_store_s_uri_is_left_as_it_is(config: Path, uri: str) -> None:
    assert load(write(config, store={"uri": uri}), {}).store.uri == uri


REFUSED = {
    "": "it is empty",
    "$HOME/x.prom": "a path holds no variables",
    "${HOME}/x.prom": "a path holds no variables",
    "/srv/$(hostname)/x.prom": "a path holds no variables",
    '"/srv/x.prom"': "a quote or with white space",
    "'/srv/x.prom'": "a quote or with white space",
    " /srv/x.prom": "a quote or with white space",
    "/srv/x.prom\n": "a quote or with white space",
    "~nobody-has-this-name/x.prom": "this machine knows no user nobody-has-this-name",
}


@pytest.mark.parametrize(
    ("where", "text"), [(where, text) for where in PLACES for text in REFUSED if text or where in PATHS]
)
def test_what_no_path_can_mean_is_refused_with_the_line_and_the_variable(
    config: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], text: str
) -> None:
    """Nothing of that name is made, and `config check` does not call it sound."""
    write(config, **given(where, text))
    with pytest.raises(UsageError) as in_file:
        load(config, {})
    write(config)
    name = variable(monkeypatch, where, text)
    with pytest.raises(UsageError) as in_variable:
        load(config, {})

    said = f"{'.'.join(where)}: "
    assert in_file.value.message.startswith(f"{config}:")
    assert in_variable.value.message.startswith(f"{name}: {said}")
    for error in (in_file, in_variable):
        assert said in error.value.message
        assert REFUSED[text] in error.value.message
    assert [*Path.cwd().iterdir(), *config.parent.iterdir()] == [config]


@each_place
@pytest.mark.parametrize("home", ["", "home/me"])
def test_a_home_that_is_no_absolute_path_is_no_home(
    config: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], home: str
) -> None:
    monkeypatch.setenv("HOME", home)

    with pytest.raises(UsageError, match="~ leads nowhere: HOME is not an absolute path"):
        load(write(config, **given(where, "~/x.prom")), {})


@needs_root
def test_a_user_id_without_an_entry_and_without_home_has_no_home() -> None:
    """As in a container, and from cron with an empty environment."""
    program = (
        "import os; from orchestrator.settings import RunSettings\n"
        "del os.environ['HOME']; os.setuid(54321)\n"
        "try: RunSettings(journal='~/runs')\n"
        "except ValueError as error: print(error)"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "~ leads nowhere: HOME is not set, and user id 54321 has none" in told.stdout


def test_a_config_under_another_name_is_the_one_that_it_leads_to(config: Path) -> None:
    write(config)
    link, other = config.parents[1] / "home" / "mrk.yaml", config.parents[1] / "elsewhere" / "second.yaml"
    link.symlink_to(config)
    other.symlink_to("../home/mrk.yaml")

    assert load(other, {}).run.journal == config.parent / "runs"
    assert real_path(other) == config


def test_a_config_that_kubernetes_mounts_keeps_its_place_when_it_changes(config: Path) -> None:
    """Its files lead through a directory that is named anew for every pod, and for every change."""
    versions = config.parent / "..2026_11_30_02_00_00.1234"
    versions.mkdir()
    write(versions / "config.yaml")
    (config.parent / "..data").symlink_to(versions.name)
    config.symlink_to("..data/config.yaml")
    link = config.parents[1] / "home" / "config.yaml"
    link.symlink_to(config)

    assert load(config, {}).run.journal == load(link, {}).run.journal == config.parent / "runs"
    assert real_path(link) == config


def piped(uri: str) -> Path:
    """Give a config as `-c <(...)` does."""
    reading, writing = os.pipe()
    os.write(writing, yaml.safe_dump({"store": {"uri": uri}, "keys": {"payments": {"arn": KEY}}}).encode())
    os.close(writing)
    return Path(f"/dev/fd/{reading}")


def test_a_config_from_a_pipe_has_no_directory(config: Path) -> None:
    """Its paths are relative to where the command is run."""
    path = piped("file:/srv/store")

    journal = load(path, {}).run.journal

    os.close(int(path.name))
    assert journal == Path.cwd() / "runs"
    assert not config.exists()


def test_a_relative_store_in_a_config_from_a_pipe_is_refused() -> None:
    path = piped("file:store")

    with pytest.raises(UsageError, match=r"a config from a pipe: store\.uri 'file:store' is a relative path"):
        load(path, {})

    os.close(int(path.name))


def test_a_working_directory_that_was_removed_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(config)
    Path.cwd().rmdir()
    assert load(config, {}).run.journal == config.parent / "runs"
    monkeypatch.setenv("MRK_RUN__JOURNAL", "runs")

    with pytest.raises(UsageError, match="the working directory cannot be read") as refused:
        load(config, {})

    assert "begin with /" in refused.value.hint


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_config_is_found_where_the_shell_leaves_the_tilde(
    config: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """As in --config=~/config.yaml, and in an environment that no shell has read."""
    write(config.parents[1] / "home" / "config.yaml", run={"looks": 7})
    monkeypatch.setenv("MRK_CONFIG", "~/config.yaml" if by == "variable" else "")

    settings = read_settings(Path("~/config.yaml") if by == "option" else None)

    assert settings.run.looks == 7


def test_a_home_that_there_is_not_is_told_for_the_config_itself(config: Path) -> None:
    with pytest.raises(UsageError, match="knows no user nobody-has-this-name") as refused:
        read_settings(Path("~nobody-has-this-name") / config.name)

    assert "whole path" in refused.value.hint


def test_an_empty_name_of_the_config_is_none(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRK_CONFIG", "")

    with pytest.raises(UsageError, match=f"there is no config file {config.name}"):
        read_settings(None)
