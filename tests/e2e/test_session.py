"""The session that the README shows is what a person sees."""

import re
from pathlib import Path

import pytest
from machine import Machine

README = Path(__file__).parents[2] / "README.md"
COMMANDS = ("mrk rotate payments --dry-run", "mrk rotate payments --yes --quiet", "mrk run --quiet")
CHANGING = {
    r"mrk-[0-9a-f]{32}": "mrk-1234abcd12ab34cd56ef1234567890ab",
    r"\b[0-9a-f]{8}\b": "5f1c0e9a",
    r"\d{4}-\d{2}-\d{2}": "2026-05-04",
    r"until [A-Z][a-z]+ \d{4}": "until May 2032",
    r" +$": "",
}


def still(text: str) -> str:
    """Hold still what differs from run to run."""
    for pattern, stand_in in CHANGING.items():
        text = re.sub(pattern, stand_in, text, flags=re.MULTILINE)
    return "\n".join(line for line in text.splitlines() if line.strip())


@pytest.mark.e2e
def test_the_session_in_the_readme_is_what_a_person_sees(machine: Machine) -> None:
    _, material = machine.make_key_quickly(("us-east-1", "eu-west-1"))
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))

    session = "\n".join(f"$ {line}\n{machine.run(*line.split())}" for line in COMMANDS)

    shown = re.search(r"<!-- session -->\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert shown is not None
    assert still(shown[1]) == still(session), f"put this into the README:\n{session}"
