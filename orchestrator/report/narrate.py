"""Events as short sentences, for whoever watches a terminal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchestrator.model import Reason, short
from orchestrator.ports import Event, Listener
from orchestrator.progress import LOOKED
from orchestrator.written import clean

_DONE = {
    "deposit": "deposited 32 new random bytes, sealed, and read them back",
    "adopt": "adopted the file's bytes, sealed, and read them back",
    "keep-probe": "kept a small ciphertext under CURRENT, to be opened later as a proof",
    "mark-proven": "marked as proven",
    "discard": "gave the attempt up; its bytes stay, and no rotation uses them",
    "reinstate": "took that back: KMS uses the bytes",
    "delete-pending": "deleted the pending key material; KMS drops it in every Region",
    "replicate": "made the replica, with the primary's key policy and no key material yet",
    "rotate": "accepted the rotation: from here on there is no way back",
}


def narrator(write: Callable[[str], None], *, brief: bool = False) -> Listener:
    """Return a listener that tells what happens, a line each, and each wait once.

    Brief: how a run ended is said in a word, since its result follows on the same terminal.
    """
    waiting: dict[str, set[str]] = {}

    def listen(event: Event) -> None:
        told = waiting.setdefault(event.key, set())
        if event.kind == "run.pinned":
            told.clear()
        for name, line in sentences(event):
            if brief and event.kind == "run.ended":
                write(f"{event.key}: {event.data['status']}")
            elif name not in told:
                told |= {name} if name else set()
                write(clean(f"{event.key}: {line}" if event.key else line))

    return listen


def sentences(event: Event) -> Iterable[tuple[str, str]]:
    """Say what happened: a line each, with a name where it is to be said only once. Some of it nobody need see."""
    data = event.data
    if event.kind == "turn":
        yield from _waits(str(data["stage"]), data["waits"])
    elif event.kind == "action.ended" and data["result"] == "done":
        yield "", f"{event.region}: {_done(data)}"
    elif event.kind == "action.ended":
        yield str(data["message"]), f"{event.region}: {data['action']} {data['result']}: {data['message']}"
    elif event.kind == "sts":
        yield "", str(data["message"])
    elif event.kind == "run.ended" and data["message"] != LOOKED:
        yield "", f"{data['status']}: {data['message']}"


def _waits(stage: str, waits: Sequence[Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    """Say each reason to wait once per stage, however many Regions share it."""
    reasons: dict[str, list[str]] = {}
    for wait in waits:
        reasons.setdefault(wait["reason"], []).append(wait["message"])
    for reason, messages in reasons.items():
        others = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        # What a call failed with was told as that.
        name = messages[0] if reason == Reason.CALL_FAILED else f"{stage}:{reason}"
        yield name, f"{stage}: waiting: {messages[0]}{others}"


def _done(data: Mapping[str, Any]) -> str:
    if data["action"] == "prove":
        return _proved(data)
    return _DONE.get(str(data["action"])) or f"imported key material {short(data.get('material_id'))}"


def _proved(data: Mapping[str, Any]) -> str:
    """Claim what was tried, and nothing else."""
    opened, skipped = len(data.get("opened", ())), len(data.get("skipped", ()))
    told = f"encrypts under {short(data.get('material_id'))}"
    generations = "generation" if opened == 1 else "generations"
    told += f", opened what {opened} {generations} encrypted" if opened else ""
    return told + (f"; {skipped} not tried" if skipped else "")
