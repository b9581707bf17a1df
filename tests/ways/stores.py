"""Ways out of what is wrong with the store, or with a file that is brought to it."""

import base64
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.model import EntryName, Reason
from orchestrator.simulator import Call
from ways.rotations import ROTATE, begun, rotation
from ways.stand import DAY, REPLICA, Stand, store_of
from ways.way import Deed, Way


def backup(stand: Stand) -> Path:
    """The copy of the store that its owner keeps."""
    return stand.machine.directory / "backup"


def copied(stand: Stand) -> None:
    shutil.copytree(stand.machine.directory / "store", backup(stand), dirs_exist_ok=True)


def put_back(stand: Stand) -> None:
    """Put every file back from the copy of the store."""
    shutil.copytree(backup(stand), stand.machine.directory / "store", dirs_exist_ok=True)


def ours(stand: Stand) -> Mapping[str, str]:
    return {"FILE": str(stand.file)}


def cut(path: Path) -> None:
    """A file loses its end."""
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[: len(content) // 2])


def entry_cut_short(stand: Stand) -> None:
    """A replica lost its key material; beside a whole link, the entry is cut short."""
    copied(stand)
    cut(stand.entry())
    stand.lose()


def entry_cut_short_alone(stand: Stand) -> None:
    copied(stand)
    cut(stand.entry())


def entry_lost(stand: Stand) -> None:
    """A replica lost its key material; of the entry only the marks are left."""
    copied(stand)
    stand.entry().unlink()
    stand.lose()


def everything_lost(stand: Stand) -> None:
    """A replica lost its key material, and the store all that it had of the key."""
    copied(stand)
    for path in stand.folder().iterdir():
        path.unlink()
    stand.lose()


def older_lost(stand: Stand) -> None:
    """The store has lost what it had of an older key material."""
    stand.well("rotate", "payments", "--yes")
    copied(stand)
    for path in stand.folder().glob("first.1.*"):
        path.unlink()
    stand.set_key(min_interval="1d")
    stand.pass_time(days=2)


def other_bytes(stand: Stand) -> None:
    """Two stores were merged: the link stands beside other bytes; and a replica lost its key material."""
    copied(stand)
    strange = store_of(stand.machine, "strange")
    strange.deposit(EntryName(stand.arn.identity, None))
    (theirs,) = (stand.machine.directory / "strange").rglob("*.age")
    stand.entry().unlink()
    shutil.copy(theirs, stand.entry())
    stand.lose()


def link_lost(stand: Stand) -> None:
    """Nothing tells any more whose bytes an entry holds."""
    for path in stand.folder().glob("first.1.link*"):
        path.unlink()


def damaged(kind: str) -> Callable[[Stand], None]:
    """A replica lost its key material, and one mark beside the entry is damaged."""

    def state(stand: Stand) -> None:
        copied(stand)
        cut(stand.entry(kind=f"{kind}.json"))
        stand.lose()

    return state


def discarded_damaged(stand: Stand) -> None:
    """A rotation was given up, and the mark that says so is damaged."""
    stand.store.deposit(rotation(stand))
    stand.store.discard(rotation(stand), SystemClock().now())
    copied(stand)
    cut(stand.entry(stand.current, kind="discarded.json"))


def deposited_damaged(stand: Stand) -> None:
    """New key material lies in the store, and was cut short before it was imported."""
    stand.store.deposit(rotation(stand))
    copied(stand)
    cut(stand.entry(stand.current))


def withdrawal_damaged(stand: Stand) -> None:
    """Pending material was withdrawn, and the note of that is damaged."""
    begun(stand)
    stand.well("abort", "payments", "--yes")
    copied(stand)
    cut(next(stand.folder().glob("*.withdrawn.json")))


def pending_damaged(stand: Stand) -> None:
    """What is pending everywhere is cut short in the store, right before the rotation."""
    begun(stand)
    copied(stand)
    cut(stand.entry(stand.current))


def switch_damaged(stand: Stand) -> None:
    """It was noted that a Region was Disabled, and that note is damaged; then its key material is gone."""
    stand.client(REPLICA).disable_key(KeyId=stand.arn.key_id)
    stand.mrk("run", "payments")
    stand.client(REPLICA).enable_key(KeyId=stand.arn.key_id)
    stand.mrk("run", "payments")
    copied(stand)
    cut(stand.entry(kind="switch.json"))
    stand.lose()


def not_sealed_to_all(stand: Stand) -> None:
    """An entry is sealed to this machine's recipient alone."""
    seal = f"age -d -i identity.txt {stand.entry()} | age -r {stand.machine.identities[0]} -o entry.age"
    stand.shell(f"{seal} && mv entry.age {stand.entry()} && chmod 600 {stand.entry()}")


def open_to_all(*parts: str, mode: int) -> Callable[[Stand], None]:
    """Give something another mode."""
    return lambda stand: stand.machine.directory.joinpath(*parts).chmod(mode)


def of_another_user(stand: Stand) -> None:
    os.chown(stand.entry(), 12345, -1)


def no_store(stand: Stand) -> None:
    shutil.move(stand.machine.directory / "store", backup(stand))


def mounted(stand: Stand) -> None:
    shutil.move(backup(stand), stand.machine.directory / "store")


def strange_file(stand: Stand) -> None:
    """Somebody has a file that is none of the key's materials."""
    path = stand.machine.directory / "strange.bin"
    path.write_bytes(os.urandom(32))
    stand.kept.append(path)


def strange_pending(stand: Stand) -> None:
    strange_file(stand)
    stand.notes["foreign"] = stand.bring_in()


def two_lacking(stand: Stand) -> None:
    """A store that has nothing of a key with two materials."""
    stand.notes["first"] = stand.current
    stand.notes["second"] = stand.rotate_by_hand()
    for path in stand.folder().iterdir():
        path.unlink()


def kept(stand: Stand) -> None:
    """Keep the file."""
    assert (stand.machine.directory / "strange.bin").stat().st_size == 32


def text_file(encoding: str) -> Callable[[Stand], None]:
    """Somebody has the key material as text."""

    def state(stand: Stand) -> None:
        for path in stand.folder().iterdir():
            path.unlink()
        found = stand.file.read_bytes()
        texts = {"hex": found.hex().encode(), "base64": base64.b64encode(found), "newline": found + b"\n"}
        (stand.machine.directory / "material.txt").write_bytes(texts[encoding])

    return state


def noted_ahead(stand: Stand) -> None:
    """The store notes a time that is still to come, and no Region tells the time."""
    stand.offset.add(DAY)
    stand.well("store", "check")
    stand.mrk("rotate", "payments", "--until", "deposited")
    stand.offset.add(-DAY)
    stand.simulator.hooks.append(_no_answer)


def _no_answer(_call: Call, when: str) -> None:
    from orchestrator.simulator.faults import ConnectionDropped  # noqa: PLC0415

    if when == "before":
        raise ConnectionDropped


def right_time(stand: Stand) -> None:
    """Set the clock; and the Regions answer again."""
    stand.simulator.hooks.clear()
    stand.offset.add(DAY)


def ahead(stand: Stand) -> None:
    """This machine's clock is a day ahead."""
    stand.machine.past.days = 1


def set_right(stand: Stand) -> None:
    stand.machine.past.days = 0


MEND: Mapping[str, tuple[Deed, ...]] = {"from the copy": (put_back,)}
BYTES: Mapping[str, tuple[Deed, ...]] = {"from the copy": (put_back,), "bring the bytes": ("mrk adopt",)}
ENTRIES: dict[str, Way] = {
    "an entry cut short beside its whole link": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_UNREADABLE,
        region=REPLICA,
        state=entry_cut_short,
        command="repair payments",
        files=ours,
        ways=BYTES,
    ),
    "an entry cut short, and nothing else": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_UNREADABLE,
        state=entry_cut_short_alone,
        command="verify payments",
        files=ours,
        ways=BYTES,
    ),
    "an entry of which only the marks are left": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_UNREADABLE,
        region=REPLICA,
        state=entry_lost,
        command="repair payments",
        files=ours,
        ways=BYTES,
    ),
    "an entry of which nothing is left": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_LACKS,
        region=REPLICA,
        state=everything_lost,
        command="repair payments",
        files=ours,
        ways={"bring the bytes": ("mrk adopt",)},
    ),
    "an older key material of which nothing is left": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_LACKS,
        state=older_lost,
        command=ROTATE,
        files=ours,
        rotations=2,
        ways={"bring the bytes": ("mrk adopt",), "allow it": (lambda stand: stand.set_key(missing_old="allow"),)},
    ),
    "other bytes beside our marks": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.OTHER_BYTES,
        region=REPLICA,
        state=other_bytes,
        command="repair payments",
        files=ours,
        ways={"bring the right ones": ("mrk adopt",)},
        once=True,
        advised="bring the right",
    ),
    "an entry without its link": Way(
        site="orchestrator.holding.cannot_give",
        reason=Reason.STORE_LACKS,
        state=link_lost,
        command="verify payments",
        ways={"let KMS compare": ("mrk repair", "mrk run")},
    ),
    "an entry that is not sealed to all recipients": Way(
        site="orchestrator.stores.sealed._open",
        reason=Reason.STORE_UNREADABLE,
        state=not_sealed_to_all,
        files=ours,
        ways={"seal it again": ("(umask",), "bring the bytes": ("mrk adopt",)},
    ),
    "deposited material that was cut short": Way(
        site="orchestrator.stages._kept",
        reason=Reason.STORE_UNREADABLE,
        state=deposited_damaged,
        rotations=1,
        ways=MEND,
    ),
    "pending material that was cut short in the store": Way(
        site="orchestrator.stages._kept",
        reason=Reason.STORE_UNREADABLE,
        state=pending_damaged,
        rotations=1,
        ways=MEND,
    ),
}

MARKS: dict[str, Way] = {
    "a damaged mark of what was given up": Way(
        site="orchestrator.stages._kept",
        reason=Reason.STORE_UNREADABLE,
        state=discarded_damaged,
        command=ROTATE,
        rotations=1,
        ways=MEND,
    ),
    "a damaged note of what was withdrawn": Way(
        site="orchestrator.stages._after_discard",
        reason=Reason.STORE_UNREADABLE,
        state=withdrawal_damaged,
        command=ROTATE,
        rotations=1,
        ways=MEND,
    ),
    "a damaged note of what was Disabled": Way(
        site="workflows.repair._switch_unclear",
        reason=Reason.STORE_UNREADABLE,
        region=REPLICA,
        state=switch_damaged,
        command="repair payments",
        ways=MEND,
    ),
}

HARMLESS = {kind: damaged(kind) for kind in ("link", "proven")}
"""Marks whose damage keeps nobody from bringing key material back."""

REFUSED: dict[str, Way] = {
    "a store that is open to all": Way(
        site="orchestrator.stores.guard._check_mode",
        state=open_to_all("store", mode=0o755),
        ways={"close it": ("chmod 700",)},
    ),
    "a directory of the store that is open to all": Way(
        site="orchestrator.looks.not_seen",
        reason=Reason.STORE_UNREADABLE,
        state=open_to_all("store", "aws", mode=0o755),
        ways={"close it": ("chmod 700",)},
    ),
    "an identity that is open to all": Way(
        site="orchestrator.stores.handed.check_handed",
        state=open_to_all("identity.txt", mode=0o644),
        ways={"close it": ("chmod 600",)},
    ),
    "an entry of another user": Way(
        site="orchestrator.stores.guard._check_owner",
        reason=Reason.STORE_UNREADABLE,
        state=of_another_user,
        files=ours,
        ways={"take it": ("chown",), "bring the bytes": ("mrk adopt",)},
    ),
    "no store": Way(
        site="orchestrator.stores.stamp.check_stamp",
        state=no_store,
        ways={
            "mount it": (mounted,),
            "make a new one": ("mrk store init", lambda stand: stand.well("adopt", "payments", "payments.bin")),  # type: ignore[dict-item]
        },
    ),
}
