"""A journal for people (tables) and for scripts (one document): what was done, and whether the chain holds."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.report.journal import Chain, text
from orchestrator.report.story import KeyStory, Sent, Step, Story

_COLOURS = {
    "done": "green",
    "failed": "red",
    "refused": "yellow",
    "decided": "cyan",
    "observed": "dim",
    "begun": "yellow",
}
_TIME = slice(11, 19)


def document(path: str, chain: Chain, story: Story) -> dict[str, Any]:
    """Tell everything that a journal tells; `exit_code` of the run is what it ended with."""
    return {
        "run": _header(chain.header) | {"exit_code": story.exit_code},
        "begun": chain.begun,
        "last": chain.last,
        "journal": {
            "path": path,
            "lines": chain.lines,
            "hash": chain.hash,
            "intact": chain.intact,
            "ended": chain.ended,
            "torn": chain.torn,
            "under_way": chain.under_way,
            "matches": chain.matches,
            "breaks": [asdict(one) for one in chain.breaks],
            "problem": chain.problem() or None,
        },
        "calls": {"sent": story.calls, "failed": story.failed_calls},
        "keys": [asdict(key) for key in story.keys.values()],
    }


def _header(header: Mapping[str, Any]) -> dict[str, str]:
    return {text(name): _words(value) for name, value in header.items()}


def _words(value: object) -> str:
    return " ".join(text(word) for word in value) if isinstance(value, list) else text(value)


def table(path: str, chain: Chain, story: Story) -> RenderableType:
    """Show what a journal tells: who ran what, key by key what came of it, and how far it can be trusted."""
    keys = (part for key in story.keys.values() for part in _key(key))
    return Group(*_head(chain), *keys, *_foot(path, chain, story))


def _head(chain: Chain) -> Iterable[Text]:
    about = _header(chain.header)
    yield Text.assemble((f"run {about.get('run', '?')}", "bold"), f"  {about.get('command', '')}")
    who = f"by {about.get('user', '?')} on {about.get('host', '?')}, mrk {about.get('mrk', '?')}"
    yield Text(f"{chain.begun} to {chain.last}, {who}, config {about.get('config', '?')}")


def _key(key: KeyStory) -> Iterable[RenderableType]:
    yield Text.assemble("\n", (key.name or "the run itself", "bold"), f"  {key.arn}")
    rows = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("time", "where", "", "what"):
        rows.add_column(column, overflow="fold")
    for step in key.steps:
        what = Text(step.what, style=_COLOURS.get(step.what, ""))
        rows.add_row(Text(step.at[_TIME]), Text(step.where or "-"), what, _detail(step))
    yield rows
    if key.arn:
        untold = "no outcome: the run was killed, or the journal was cut off"
        yield Text(f"{key.outcome}: {key.message}" if key.outcome else untold)


def _detail(step: Step) -> Text:
    """Show a step with its calls; those of a look only where they failed."""
    times = f" ({step.times} times, until {step.until[_TIME]})" if step.times > 1 else ""
    shown = [call for call in step.calls if call.error or step.what != "observed"]
    told = [Text(step.detail + times)] if step.detail else []
    return Text("\n").join([*told, *(_call(call) for call in shown)])


def _call(call: Sent) -> Text:
    failed = f" {call.error}" if call.error else ""
    return Text(f"{call.operation}{failed} {call.request_id or 'no request id'}", style="red" if failed else "dim")


def _foot(path: str, chain: Chain, story: Story) -> Iterable[Text]:
    code = "" if story.exit_code is None else f"; exit code {story.exit_code}"
    yield Text(f"\n{story.calls} calls to AWS, {story.failed_calls} failed{code}")
    if chain.breaks:
        yield Text(f"journal {path}: THE CHAIN IS BROKEN, {chain.lines} lines", style="bold red")
        yield Text("\n").join(Text(f"  line {one.line} {one.message}") for one in chain.breaks[:10])
    else:
        yield Text(f"journal {path}: {chain.lines} lines, each fits the one before it")
    if chain.under_way:
        yield Text("The run is under way: more lines will follow.")
    elif chain.cut_short:
        torn = "the last line is torn, and left out" if chain.torn else "it has no end"
        yield Text(f"It is CUT SHORT: {torn}.", style="bold red")
    yield Text(f"final hash {chain.hash}")
    if chain.matches is None:
        hint = "Compare it with the one printed when the run ended (--hash): without that, lines that were cut off or"
        yield Text(f"{hint} written anew do not show.", style="dim")
    elif chain.matches:
        yield Text("It is the hash given: nothing was changed since that was printed.", style="green")
    else:
        yield Text(f"It is NOT the hash given: {chain.mismatch()}", style="bold red")
