"""The year that took a key down, lived through again: whatever was encrypted in it opens to its end (I11, I13).

`mrk run` as cron calls it, in processes whose time is the simulated one (libfaketime), against the simulator over HTTP;
a client that knows boto3 and nothing of mrk is the judge. Nights on which nothing would happen are left out: two that
follow each other here are less than the 20 days apart, in which key material is renewed before it expires.
"""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.year import Calendar, Host, Judge, Year
from orchestrator.simulator import Call, Simulator, serve

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HOME, WEST, SOUTH, CENTRAL = REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "eu-central-1")
ELSEWHERE = "sa-east-1"
SETTINGS = {
    "defaults": {"proof": "full", "rotate_every": "90d", "expires": "60d", "renew_before": "20d", "repair": "auto"},
    "run": {"poll": "100ms", "looks": 2, "deadline": "2m"},
}
READS = ("Describe", "List", "Get", "Decrypt", "Encrypt", "Generate")


@pytest.fixture
def year(tmp_path: Path) -> Iterator[Year]:
    """Two keys, made by hand and adopted: `payments` is to live through everything, `ledger` is its neighbour."""
    calendar = Calendar()
    simulator = Simulator(calendar, lag="instant", rotation_seconds=0.2)
    with serve(simulator) as served:
        (tmp_path / "first").mkdir()
        host = Host(tmp_path / "first", served.endpoint_url, simulator, calendar, more=SETTINGS)
        keys = {"payments": REGIONS, "ledger": (WEST, CENTRAL)}
        made = {"payments": host.make("payments", REGIONS), "ledger": host.make("ledger", (WEST, CENTRAL))}
        host.keys["ledger"]["rotate_every"] = "110d"
        host.write_config()
        host.done("store", "init")
        for name in keys:
            host.done("adopt", name, str(host.directory / f"{name}.bin"), "--quiet")
        judge = Judge(served.endpoint_url, {name: (made[name], regions) for name, regions in keys.items()})
        judge.encrypts()
        yield Year(calendar, simulator, host, judge)


def test_a_year_in_which_everything_happens_loses_nothing_that_was_encrypted(
    year: Year, record_property: Callable[[str, int], None]
) -> None:
    year.calm(0, 14)
    a_colleague_makes_a_replica(year)
    a_region_leaves_the_config_early(year)
    the_machine_boots_with_a_wrong_clock(year)
    two_hosts_work_on_copies_of_one_store(year)
    the_primary_does_not_answer_for_a_week(year)
    the_owner_switches_a_region_off(year)

    year.calm(300, 314, 328, 342, 356, 365)

    assert year.rotations() == {"payments": 3, "ledger": 3}, "one in each period, as far as nothing stood against it"
    assert len(year.judge.kept["ledger"]) == 2 * (1 + 3 + 3), "in both its Regions at first and after each rotation"
    record_property("nights_lived", year.lived)
    record_property("times_opened", year.judge.opened)


def a_colleague_makes_a_replica(year: Year) -> None:
    """A replica that `regions` lacks holds up rotations alone: the other Regions are renewed, and outlive day 60."""
    year.calendar.leaf(6)
    year.host.aws("replicate-key", "--key-id", year.arn("payments", HOME), "--replica-region", ELSEWHERE)

    for night in year.nights(26, 41, 55, 69, 82):
        assert (night.code, night.key("ledger")["status"] in {"idle", "finished"}) == (4, True)
        assert f"the key has a member in {ELSEWHERE}, which the config lacks" in night.mail
        assert night.changed("payments", "renewed") == (set(REGIONS) if night.day in {41, 82} else set())
        assert year.judge.lost() == []

    year.host.client(ELSEWHERE).schedule_key_deletion(KeyId=year.arn("payments", ELSEWHERE), PendingWindowInDays=7)
    going = year.night(86)
    assert (going.code, ELSEWHERE in going.mail) == (3, True), "a person has done his part: it only wants time"
    assert year.rotations()["payments"] == 0
    year.calm(91)
    assert year.rotations()["payments"] == 1, "due on day 90, and nothing stands against it any more"


def a_region_leaves_the_config_early(year: Year) -> None:
    """A Region that is being deleted is taken out of `regions` at once: the others live on as if it were gone."""
    year.calm(104, 114)
    year.host.client(SOUTH).schedule_key_deletion(KeyId=year.arn("payments", SOUTH), PendingWindowInDays=30)
    year.host.keys["payments"]["regions"].remove(SOUTH)
    year.host.write_config()
    year.judge.off.add(("payments", SOUTH))

    nights = year.nights(115, 123, 132, 143)

    assert [night.code for night in nights] == [3, 3, 3, 3]
    assert all(f"the key in {SOUTH} is PendingDeletion" in night.mail for night in nights)
    renewed = set(REGIONS) - {SOUTH}
    assert [night.changed("payments", "renewed") for night in nights] == [set(), renewed, renewed, set()]
    assert year.judge.lost() == [], "the first key material would have expired on day 142"
    year.calm(146)


def the_machine_boots_with_a_wrong_clock(year: Year) -> None:
    """By a clock that is wrong, or was in the first second, nothing is done; and somebody is told."""
    before, clock = len(year.simulator.calls), year.host.directory / "clock"
    year.host.off = 100
    clock.write_text(year.host.faketime)
    year.host.off = 0

    def put_right(_call: Call, _moment: str) -> None:
        clock.write_text(year.host.faketime)

    year.simulator.hooks.append(put_right)
    stepped = year.night(150, FAKETIME_TIMESTAMP_FILE=str(clock))
    year.simulator.hooks.remove(put_right)
    year.host.off = 100
    ahead = year.night(151)
    year.host.off = -40
    behind = year.night(152)
    year.host.off = 0

    assert [night.code for night in (stepped, ahead, behind)] == [3, 3, 3]
    assert "the clock was set back" in stepped.mail
    assert "clock is 100 days ahead of KMS's" in ahead.mail
    assert "days behind KMS's" in behind.mail
    sent = [call.operation for call in list(year.simulator.calls)[before:]]
    assert [operation for operation in sent if not operation.startswith(READS)] == []
    year.calm(153)


def two_hosts_work_on_copies_of_one_store(year: Year) -> None:
    """Both find the key due; then one store is completed from the other. It tells that it lacks what the key needs."""
    first = year.host
    second = first.copy(first.directory.parent / "second")
    year.calm(163, 173)
    denied = year.simulator.faults.add(operation="ImportKeyMaterial", region=HOME, error="AccessDeniedException")
    held_up = year.night(182, second)
    year.simulator.faults.remove(denied)
    year.calm(182)
    assert (held_up.code, "ImportKeyMaterial" in held_up.mail) == (3, True)
    current = year.true("payments", HOME).current
    assert current is not None

    overtaken = year.night(183, second)
    complete(second.directory / "store", first.directory / "store")
    completed = year.night(184, second)

    for night in (overtaken, completed):
        assert (night.code, current in night.mail.replace("\n", "")) == (4, True), "not held, whatever marks lie there"
    assert "does not fit these bytes" in second.done("store", "check", code=4)

    second.done("adopt", "payments", str(bytes_of(current, first, second)), "--quiet")
    shutil.rmtree(first.directory / "store")
    year.host = second
    year.calm(185)
    assert year.rotations()["payments"] == 2


def complete(store: Path, other: Path) -> None:
    """Copy files where they are missing."""
    for path in (path for path in other.rglob("*") if path.is_file()):
        if not (there := store / path.relative_to(other)).exists():
            shutil.copy2(path, there)


def bytes_of(material: str, host: Host, to: Host) -> Path:
    """Take the bytes of a material out of a store, as docs/store.md says."""
    link = next(path for path in (host.directory / "store").rglob("*.link.json") if material in path.read_text())
    entry = link.with_name(link.name.replace(".link.json", ".age"))
    opened = json.loads(host.run("age", "-d", "-i", str(host.directory / "recovery.txt"), str(entry)))
    found = to.directory / "found.bin"
    found.write_bytes(base64.b64decode(opened["key_material"]))
    return found


def the_primary_does_not_answer_for_a_week(year: Year) -> None:
    """A replica that loses its key material meanwhile gets it back without the primary."""
    year.calendar.leaf(5)
    down = year.simulator.faults.add(region=HOME, drop="before")
    current = year.true("payments", CENTRAL).current
    gone = {"KeyId": year.arn("payments", CENTRAL), "KeyMaterialId": current}
    year.host.client(CENTRAL).delete_imported_key_material(**gone)
    assert year.judge.lost(down=HOME) != []
    year.host.patience("10s")

    nights = year.nights(191, 196)

    year.simulator.faults.remove(down)
    year.host.patience("2m")
    assert [(night.code, HOME in night.mail) for night in nights] == [(3, True), (3, True)]
    assert [night.key("ledger")["status"] for night in nights] == ["idle", "idle"]
    assert [CENTRAL in night.changed("payments", "restored") for night in nights].count(True) == 1
    assert any(f"missing in {CENTRAL}" in night.mail for night in nights)
    assert year.judge.lost(down=HOME) == []
    year.calm(197)


def the_owner_switches_a_region_off(year: Year) -> None:
    """A disabled Region expires, and KMS calls it PendingImport then: off it stays, until a person wants it back."""
    year.calm(204, 213)
    year.host.client(WEST).disable_key(KeyId=year.arn("payments", WEST))
    year.judge.off.add(("payments", WEST))
    warned, expired, *later = year.nights(231, 245, 258, 275)

    assert (warned.code, f"the key in {WEST} is Disabled; its key material expires on" in warned.mail) == (4, True)
    assert HOME in warned.changed("payments", "renewed")
    for night in (expired, *later):
        assert (night.code, f"mrk repair payments --enable {WEST}" in night.mail) == (4, True)
    assert year.true("payments", WEST).key_state == "PendingImport"
    assert year.judge.lost() == [], "elsewhere"
    year.host.done("repair", "payments", code=4)
    assert year.judge.closed("payments", WEST, year.arn("payments", WEST)) != ""

    year.host.done("repair", "payments", "--enable", WEST)
    year.judge.off.remove(("payments", WEST))
    assert year.judge.lost() == [], "there, too, what was encrypted while it was off included"
    assert year.rotations()["payments"] == 2
    year.calm(286)
    assert year.rotations()["payments"] == 3, "due on day 272, and nothing stands against it any more"
