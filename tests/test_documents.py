"""What is written for people names what there is: commands with their options, reasons, files and headings."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from orchestrator.model import Reason
from orchestrator.settings import AwsSettings, RunSettings, StoreSettings
from workflows.cli.app import app

ROOT = Path(__file__).parents[1]
WRITTEN = sorted([ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
SAID = {str(path.relative_to(ROOT)): path.read_text() for path in WRITTEN}
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"^[ $]*(?:sudo -u mrk )?(?:/\S+/)?mrk ([a-z]+)((?: [^`\n|;<>()#]*)?)", re.MULTILINE)
SETTING = re.compile(r"`(store|run|aws)\.([a-z_]+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands(text: str) -> list[list[str]]:
    """Find the command lines of mrk in code, within sentences and in blocks."""
    code = FENCED.findall(text)
    code += [span.replace("\n", " ") for span in INLINE.findall(FENCED.sub("", text))]
    return [[found[1], *found[2].split()] for part in code for found in COMMAND.finditer(part)]


def options(words: list[str]) -> set[str]:
    """Tell the options of a command, and of the command below it that the words name; KeyError for what is none."""
    found, command = set[str](), get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
        found |= {option for one in command.params for option in one.opts}
    return found


@pytest.mark.parametrize("name", SAID)
def test_every_command_that_is_written_down_exists_with_its_options(name: str) -> None:
    for words in commands(SAID[name]):
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= options([word for word in words if not word.startswith("-")]), words


def test_the_readme_and_the_pages_show_commands() -> None:
    """So that the test above cannot pass by finding none."""
    assert commands("`mrk repair payments`")[0] == ["repair", "payments"]
    assert min(len(commands(SAID[name])) for name in ("README.md", "docs/store.md", "docs/troubleshooting.md")) > 5


def test_every_reason_for_which_a_key_stops_is_explained_once_and_no_other() -> None:
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", SAID["docs/troubleshooting.md"], re.MULTILINE)
    explained = [reason for row in rows for reason in re.findall(r"`([a-z-]+)`", row)]

    assert sorted(explained) == sorted(Reason)


@pytest.mark.parametrize("name", sorted({*SAID} - {"docs/journal.md"}))  # which has kinds of lines: `run.asked`
def test_every_setting_that_is_written_down_exists(name: str) -> None:
    sections = {"store": StoreSettings, "run": RunSettings, "aws": AwsSettings}
    for section, setting in SETTING.findall(SAID[name]):
        assert setting in {*sections[section].model_fields, "json"}, f"{section}.{setting}"


@pytest.mark.parametrize("name", SAID)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in LINK.findall(SAID[name]):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), link
        assert not heading or heading in headings(there.read_text()), link


def headings(text: str) -> set[str]:
    """Name the headings of a page as a link does."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_module_has_a_place_in_the_table_of_contributing() -> None:
    table = "\n".join(line for line in SAID["CONTRIBUTING.md"].splitlines() if line.startswith("| `"))
    modules = {path.name for path in (ROOT / "orchestrator").glob("[a-z]*.py")}
    folders = {f"{path.name}/" for path in (ROOT / "orchestrator").iterdir() if (path / "__init__.py").exists()}
    rows = re.findall(r"`(?:orchestrator/)?([a-z_]+(?:\.py|/))`", table)

    assert sorted(rows) == sorted(modules | folders)
