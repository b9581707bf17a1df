"""A journal's events told as steps, per key: what was observed, decided and done, with AWS request ids. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model import KeyArn
from orchestrator.report.journal import mapping, text

_LOOKS = ("DescribeKey", "ListKeyRotations", "GetKeyRotationStatus")
_SENDS = {
    "import": ("GetParametersForImport", "ImportKeyMaterial"),
    "rotate": ("RotateKeyOnDemand",),
    "replicate": ("GetKeyPolicy", "ReplicateKey"),
    "prove": ("GenerateDataKeyWithoutPlaintext", "Decrypt"),
    "keep-probe": ("Encrypt", "Decrypt"),
}
_STATES = {"PENDING_ROTATION": "pending", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION": "pending, not everywhere"}
_KNOWN = ("journal.begun", "journal.ended")


@dataclass(frozen=True, slots=True)
class Sent:
    """One call to AWS."""

    operation: str
    region: str
    request_id: str
    status: str
    error: str


@dataclass(slots=True)
class Step:
    """One thing that was observed, decided or done; what came `times` in a row is one step."""

    line: int
    at: str
    where: str
    what: str
    detail: str
    times: int = 1
    until: str = ""
    calls: list[Sent] = field(default_factory=list)


@dataclass(slots=True)
class KeyStory:
    """What a run did with one key. Without an outcome the run was killed, or the journal does not tell."""

    name: str
    arn: str = ""
    outcome: str = ""
    message: str = ""
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """What a run did, key by key; `told` takes one event after the other."""

    keys: dict[str, KeyStory] = field(default_factory=dict)
    calls: int = 0
    failed_calls: int = 0
    exit_code: int | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _open: dict[tuple[str, str], Step] = field(default_factory=dict)
    _seen: dict[tuple[str, str], Step] = field(default_factory=dict)
    _asked: dict[tuple[str, str], Step] = field(default_factory=dict)
    _turns: dict[str, Step] = field(default_factory=dict)
    _planned: set[str] = field(default_factory=set)

    def told(self, events: Iterable[Mapping[str, Any]]) -> "Story":
        """Take in events in the order of their lines."""
        for event in events:
            self._take(event, mapping(event.get("data")))
        for (name, _), step in self._asked.items():
            # Asked, and no look came of it: a run that was killed, or an alias that leads nowhere.
            steps = self.keys.setdefault(name, KeyStory(name)).steps
            steps.append(step)
            steps.sort(key=lambda one: one.line)
        return self

    def _take(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        match event.get("kind"):
            case "call":
                self._call(event, data)
            case "look":
                self._look(event, data)
            case "run.asked":
                self._named(text(event.get("key")), text(data.get("arn")))
                self._begun(event, _list(data, "stages"))
            case "run.pinned":
                self._decided(event, _aim(data))
            case "turn":
                self._decided(event, _turn(data))
            case "action.begun":
                self._open[_where(event)] = self._step(event, "begun", _action(data))
            case "action.ended":
                self._ended(event, data)
            case "run.ended":
                self._over(event, data)
            case kind if kind not in _KNOWN:
                self._other(event, data)

    def _begun(self, event: Mapping[str, Any], stages: Sequence[str]) -> None:
        """Begin what was asked for: how it ends is not known yet, whatever was looked at for a plan before."""
        key = self._key(event)
        key.outcome, key.message = "", ""
        if stages:
            self._planned.discard(key.name)
        else:
            self._planned.add(key.name)
        self._step(event, "asked", ", ".join(stages) or "a plan")

    def _over(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Tell how it ended; that a plan was looked at is no outcome."""
        key, status = self._key(event), _of(data, "status")
        planned = key.name in self._planned and status == "finished"
        key.outcome, key.message = ("", "") if planned else (status, _of(data, "message"))
        self._step(event, "ended", "planned" if planned else f"{status} in stage {_of(data, 'stage')}")

    def _other(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Tell of the command as a whole, whose last words hold its exit code, and of what is not known."""
        kind = text(event.get("kind"))
        if kind.startswith("command.") and type(code := data.get("exit_code")) is int:
            self.exit_code = code
        if kind != "command.ended":
            what = kind.removeprefix("command.") or "?"
            self._step(event, what, _of(data, "message") or (text(data) if data else ""))

    def _named(self, name: str, arn: str) -> None:
        """Take a key's ARN for its name, also in what was told of it before: an alias is resolved first."""
        self._names[_identity(arn)] = name
        key = self.keys.setdefault(name, KeyStory(name))
        key.arn = arn
        if arn == name:
            return
        if (before := self.keys.pop(arn, None)) is not None:
            key.steps += before.steps
        for where in [where for where in self._asked if where[0] == arn]:
            self._asked[name, where[1]] = self._asked.pop(where)

    def _key(self, event: Mapping[str, Any]) -> KeyStory:
        name = text(event.get("key"))
        name = self._names.get(_identity(name), name)
        return self.keys.setdefault(name, KeyStory(name))

    def _step(self, event: Mapping[str, Any], what: str, detail: str) -> Step:
        steps = self._key(event).steps
        step = Step(event["seq"], text(event.get("at")), text(event.get("region")), what, detail)
        steps.append(step)
        return step

    def _decided(self, event: Mapping[str, Any], detail: str) -> None:
        """Tell of a decision, once where the next ones are the same."""
        name = text(event.get("key"))
        before = self._turns.get(name)
        if before is None or before.detail != detail:
            self._turns[name] = self._step(event, "decided", detail)
        else:
            before.times += 1
            before.until = text(event.get("at"))

    def _look(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Tell of what a look showed, once where the next ones show the same."""
        where, shown = _where(event), _seen(data)
        asked, before = self._asked.pop(where, None), self._seen.get(where)
        if before is None or before.detail != shown:
            before = self._seen[where] = self._step(event, "observed", shown)
        else:
            before.times += 1
            before.until = text(event.get("at"))
        before.calls += asked.calls if asked else []

    def _call(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Put a call where it belongs: to the look or the action that it was sent for, else on its own."""
        sent = Sent(*(_of(data, "operation"), text(event.get("region")), _of(data, "request_id")), *_answer(data))
        self.calls += 1
        self.failed_calls += bool(sent.error)
        where = (self._key(event).name, sent.region)
        if sent.operation in _LOOKS:
            asked = Step(event["seq"], text(event.get("at")), sent.region, "called", "")
            self._asked.setdefault(where, asked).calls.append(sent)
            return
        replicas = [step for (name, _), step in self._open.items() if name == where[0] and step.detail == "replicate"]
        under_way = (self._open.get(where), self._open.get((where[0], "store")), *replicas)
        steps = [step for step in under_way if step and sent.operation in _SENDS.get(step.detail.partition(" ")[0], ())]
        step = steps[0] if steps else self._step(event, "called", "")
        step.calls.append(sent)

    def _ended(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        step = self._open.pop(_where(event), None) or self._step(event, "begun", _action(data))
        message, material = _of(data, "message"), _of(data, "material_id")
        step.what, step.until = _of(data, "result") or "ended", text(event.get("at"))
        if material and material[:8] not in step.detail:
            step.detail += f" key material {material[:8]}"
        step.detail += f": {message}" if message else ""


def _where(event: Mapping[str, Any]) -> tuple[str, str]:
    return text(event.get("key")), text(event.get("region"))


def _identity(arn: str) -> str:
    """Return what names a key whatever its Region; the text itself where it is no key's ARN."""
    try:
        return str(KeyArn.parse(arn).identity)
    except ValueError:
        return arn


def _of(data: Mapping[str, Any], name: str) -> str:
    return text(data.get(name))


def _list(data: Mapping[str, Any], name: str) -> Sequence[str]:
    found = data.get(name)
    return [text(one) for one in found] if isinstance(found, list) else []


def _short(material: object) -> str:
    return text(material)[:8] or "nothing"


def _entry(data: Mapping[str, Any]) -> str:
    replaced, _, attempt = _of(data, "entry").rpartition("/")[2].rpartition(".")
    return f"{replaced[:8]}.{attempt}"


def _aim(data: Mapping[str, Any]) -> str:
    """Say what a run is for; one that replaces nothing keeps the key as it stands, or finishes what was begun."""
    if data.get("aborting"):
        return f"to give up entry {_entry(data)}"
    if data.get("renewing"):
        return "to renew what expires soon; nothing is replaced"
    if not data.get("replaces"):
        return "to keep or finish the key as it stands; nothing is replaced"
    return f"to replace {_short(data.get('replaces'))}, by entry {_entry(data)}"


def _answer(data: Mapping[str, Any]) -> tuple[str, str]:
    return _of(data, "status"), _of(data, "error")


def _action(data: Mapping[str, Any]) -> str:
    material = _of(data, "material_id")
    words = (_of(data, "action"), _of(data, "import_type"), f"key material {material[:8]}" if material else "")
    until = _of(data, "valid_to")
    lasts = f", {until if until == 'never expires' else f'valid until {until[:10]}'}" if until else ""
    return " ".join(word for word in words if word) + lasts


def _turn(data: Mapping[str, Any]) -> str:
    """Say in which stage a run is, and what it waits for: the first reason, and how many more."""
    waits = data.get("waits")
    reasons = [_of(mapping(wait), "message") for wait in waits] if isinstance(waits, list) else []
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    status = _of(data, "status")
    told = f": wait: {reasons[0]}{more}" if reasons else "" if status in {"going", ""} else f": {status}"
    return f"stage {_of(data, 'stage')}{told}"


def _seen(data: Mapping[str, Any]) -> str:
    """Say what one look showed of a Region or of the store."""
    if "failed" in data:
        return f"not seen: {_of(data, 'failed')}"
    entries, rows = data.get("entries"), data.get("rows")
    if isinstance(entries, list):
        proven = sum(bool(mapping(entry).get("proven")) for entry in entries)
        return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}, {proven} proven"
    found = [mapping(row) for row in rows] if isinstance(rows, list) else []
    here = sum(bool(row.get("imported")) for row in found)
    states = [f"{_short(row.get('id'))} {state}" for row in found if (state := _STATES.get(_of(row, "state")))]
    told = (_of(data, "key_state"), f"CURRENT {_short(data.get('current'))}", f"{here} of {len(found)} imported")
    ends = min((until for row in found if (until := text(row.get("valid_to")))), default="")
    return ", ".join((*told, *([f"first expiry {ends[:10]}"] if ends else []), *states))
