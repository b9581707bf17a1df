"""A way out: what stands in the way of a command, what is advised, and what a person then does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from e2e.test_asking import asked
from orchestrator.model import Reason
from ways.stand import Stand, Told

Deed = str | Callable[[Stand], None]
"""A command that the advice prints, by how it begins; or what a person does that no command line can say."""

_VERBS = "abort|adopt|config|create|inventory|plan|policy|prove|renew|repair|report|rotate|run|status|store|verify"
_BEGINS = re.compile(
    rf"\(umask 077; |(?<![\w./-])(?:mrk (?:{_VERBS})\b|aws [a-z]+ [a-z]|chmod |chown |xxd -r|base64 -d|head -c)"
)
_ENDS = re.compile(r"; |, | \(|\)| and | then |: |$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A row: a site of the code that blocks or refuses, the world in which it does, and each way out of it.

    `site` is module.function; `reason` is None where a command is refused before it looks at any key. `files` says
    what the placeholders of the advice stand for. `then` is how the first command ends once a way was gone, `next` what
    it says then, where another step is left; `gone` names Regions that a way gives up on purpose. `again` is the
    command that shows it, where that is another one. `once` tells that the same command would go on by itself the
    second time; what it advises begins as `advised`.
    """

    site: str
    reason: Reason | None = None
    state: Callable[[Stand], None]
    command: str = "run payments"
    code: int = 4
    region: str | None = None
    ways: Mapping[str, tuple[Deed, ...]]
    files: Callable[[Stand], Mapping[str, str]] = lambda _: {}
    then: int = 0
    next: Mapping[str, Reason] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    rotations: int = 0
    again: str = ""
    once: bool = False
    advised: str = ""


ANYWHERE = "anywhere"
"""In the place of a Region: whichever it is."""

TERMINAL = "on a terminal"
"""A deed: what is typed next is typed on a terminal, and answered with yes."""


def filled(stand: Stand, command: str) -> list[str]:
    """Put ids into a command of a row: {current}, and whatever the state has noted."""
    return command.format(current=stand.current, **stand.notes).split()


def printed(advice: str) -> list[str]:
    """Find the commands in an advice, each as far as a person would type it."""
    found, done = [], 0
    for begin in _BEGINS.finditer(advice):
        rest = advice[begin.start() :]
        if begin.start() < done:
            continue
        if rest.startswith("("):
            found.append(rest[: rest.rindex(")") + 1])
            done = begin.start() + len(found[-1])
            continue
        end = _ENDS.search(rest)
        found.append(rest[: end.start() if end else None].strip())
    return list(dict.fromkeys(found))


def typed(stand: Stand, command: str, files: Mapping[str, str]) -> None:
    """Type a command, with the files and names that its placeholders stand for; it must be one that can be typed."""
    words = [files.get(word, word) for word in command.split(" ")]
    left = [word for word in words if word in {"...", "NAME", "FILE", "ID", "REGION"}]
    assert not left, f"nobody can type {left} in: {command}"
    if stand.notes.pop("terminal", False):
        code, shown = asked(stand.machine, *words[1:], answer="y")
        assert code == 0, shown
        return
    if words[0] != "mrk":
        stand.shell(" ".join(words))
        return
    asks = words[1] in {"abort", "rotate"}
    stand.notes["typed"] = stand.mrk(*words[1:], *(["--yes"] if asks and "--yes" not in words else []))


def meet(stand: Stand, way: Way) -> Told:
    """Run the command that is blocked, and return what a person reads; then ask a script for the reason."""
    words = filled(stand, way.command)
    told = stand.mrk(*words, *(["--quiet"] if way.reason else []))
    assert told.code == way.code, f"{told.command} ended with {told.code}, {way.code} wanted:\n{told.text}"
    assert told.advice, f"no way out of {told.text}"
    if way.once:
        assert any(one.startswith(way.advised) for one in told.advice.splitlines()), told.advice
    if way.reason is not None and not way.once:
        for_scripts = stand.mrk(*words, "--json")
        assert stands(way, for_scripts), for_scripts.text
        stand.notes["hints"] = for_scripts.hints
    return told


def stands(way: Way, told: Told) -> bool:
    """Whether what is in the way is told still."""
    regions = {region for reason, region in told.reasons if reason == str(way.reason)}
    return bool(regions) if way.region == ANYWHERE else way.region in regions


def go(stand: Stand, way: Way, deeds: tuple[Deed, ...], advice: str) -> None:
    """Do what is advised, word by word."""
    commands = printed(advice)
    for deed in deeds:
        if callable(deed):
            deed(stand)
            continue
        if deed == TERMINAL:
            stand.notes["terminal"] = True
            continue
        fitting = [command for command in commands if command.startswith(deed)]
        assert fitting, f"{deed!r} is not among what is printed: {commands}\n{advice}"
        typed(stand, fitting[0], way.files(stand))


def gone(stand: Stand, way: Way, name: str) -> Told:
    """Run the command again: what stood in its way does so no more, and nothing was lost."""
    told = stand.mrk(*filled(stand, way.again or way.command), "--json")
    following = way.next.get(name)
    wanted = way.then if following is None else None
    assert wanted is None or told.code == wanted, (
        f"{told.command} ended with {told.code}, {wanted} wanted:\n{told.text}"
    )
    if following is way.reason is not None:
        assert not set(told.hints) & set(stand.notes["hints"]), told.text
    elif way.reason is not None:
        assert not stands(way, told), told.text
    if following is not None:
        assert str(following) in {reason for reason, _ in told.reasons}, told.text
    judges = told.command.split()[1] != "adopt"
    success = judges and told.code == 0 and "keys" in told.document and bool(told.document["keys"])
    assert not stand.harm(success=success, rotations=way.rotations, switched_off=way.gone), told.text
    return told
