"""Ways out of what is odd in a Region: it is Disabled, unlisted, missing, being deleted, or lacks key material."""

from collections.abc import Callable, Mapping

from e2e.machine import REGIONS
from orchestrator.model import Reason
from ways.stand import OTHER, PRIMARY, REPLICA, Stand
from ways.way import Way

NEW = "sa-east-1"
ALL = (*REGIONS, NEW)


def regions(*names: str) -> Callable[[Stand], None]:
    """Write these Regions into the config."""
    return lambda stand: stand.set_regions(*names)


def key(**settings: str) -> Callable[[Stand], None]:
    """Write these settings of the key into the config."""
    return lambda stand: stand.set_key(**settings)


def days(number: float) -> Callable[[Stand], None]:
    """Wait."""
    return lambda stand: stand.pass_time(days=number)


def replicated_by_hand(stand: Stand) -> None:
    stand.client().replicate_key(KeyId=str(stand.arn), ReplicaRegion=NEW)
    stand.pass_time(minutes=5)


def disabled(stand: Stand) -> None:
    stand.client(REPLICA).disable_key(KeyId=stand.arn.key_id)


def enabled(stand: Stand) -> None:
    stand.client(REPLICA).enable_key(KeyId=stand.arn.key_id)


def deleting(stand: Stand) -> None:
    stand.client(REPLICA).schedule_key_deletion(KeyId=stand.arn.key_id, PendingWindowInDays=7)


def left_early(stand: Stand) -> None:
    """A Region is taken out of `regions` while KMS names it still."""
    deleting(stand)
    stand.set_regions(PRIMARY, OTHER)


def off_and_lost(stand: Stand) -> None:
    """A Disabled replica is seen by a run, and loses its key material afterwards: KMS says PendingImport then."""
    disabled(stand)
    stand.mrk("run", "payments")
    stand.lose()


def lost(stand: Stand) -> None:
    stand.lose()


def expiring(stand: Stand) -> None:
    """What a replica has ends in three days."""
    stand.expire(days=3)


def expired(stand: Stand) -> None:
    stand.expire(days=3)
    stand.pass_time(days=4)


def single_region(stand: Stand) -> None:
    """The config wants a second Region of a key that KMS made for one."""
    arn, _ = stand.machine.make_key_quickly(REGIONS[:1], name="orders")
    stand.well("adopt", "orders", "orders.bin")
    stand.set_key("orders", arn=arn, regions=[PRIMARY, REPLICA])


def moved_to_a_new_key(stand: Stand) -> None:
    """Its owner makes a multi-Region key in its place."""
    stand.machine.make_key_quickly(REGIONS[:2], name="orders")
    stand.well("adopt", "orders", "orders.bin")


def begun_without(stand: Stand) -> None:
    """A rotation is begun, and then the owner wants another Region."""
    assert stand.mrk("rotate", "payments", "--until", "ready").code == 0
    stand.set_key(regions=list(ALL), replicate="auto")


def finished_without(stand: Stand) -> None:
    """Finish it without the new Region, and add that again."""
    stand.set_regions(*REGIONS)
    stand.well("run", "payments")
    stand.set_regions(*ALL)


def policy(stand: Stand) -> Mapping[str, str]:
    """The key policy that a person gives a replica: the primary's own."""
    found = stand.client().get_key_policy(KeyId=stand.arn.key_id)["Policy"]
    (stand.machine.directory / "policy.json").write_text(found)
    return {"...": "file://policy.json", "FILE": str(stand.file)}


def gone_from_kms(stand: Stand) -> None:
    """The config names a key that KMS does not know in that Region."""
    stand.simulator.faults.add(region=REPLICA, operation="DescribeKey", error="NotFoundException")


def no_fault(stand: Stand) -> None:
    """Whoever is in charge mends what AWS answered."""
    stand.simulator.faults.clear()


def forbidden(stand: Stand) -> None:
    stand.simulator.faults.add(region=REPLICA, operation="ListKeyRotations", error="AccessDeniedException")


OUT = frozenset({REPLICA})
LISTED: dict[str, Way] = {
    "a listed Region that KMS lacks": Way(
        site="orchestrator.checks.listed",
        reason=Reason.REGION_LACKING,
        region=NEW,
        state=regions(*ALL),
        files=policy,
        ways={
            "take it out": (regions(*REGIONS),),
            "let mrk replicate": (key(replicate="auto"), "mrk repair"),
            "replicate it by hand": ("aws kms replicate-key", "mrk repair"),
        },
    ),
    "a listed Region that KMS lacks, and mrk may replicate": Way(
        site="orchestrator.checks._replicating",
        reason=Reason.REGION_LACKING,
        region=NEW,
        state=lambda stand: stand.set_key(regions=list(ALL), replicate="auto"),
        command="verify payments",
        ways={"let mrk replicate": ("mrk repair",), "take it out": (regions(*REGIONS),)},
    ),
    "a second Region of a single-Region key": Way(
        site="orchestrator.checks._replicating",
        reason=Reason.REGION_LACKING,
        region=REPLICA,
        state=single_region,
        command="run orders",
        ways={
            "take it out": (lambda stand: stand.set_key("orders", regions=[PRIMARY]),),
            "make another key": (moved_to_a_new_key,),
        },
    ),
    "a Region that is wanted while a rotation is begun": Way(
        site="workflows.replicate._under_way",
        reason=Reason.REGION_LACKING,
        state=begun_without,
        command="repair payments",
        region=PRIMARY,
        rotations=1,
        ways={"give it up": ("mrk abort",), "finish it first": (finished_without,)},
    ),
    "a begun rotation, and a listed Region that KMS lacks": Way(
        site="orchestrator.checks._replicating",
        reason=Reason.REGION_LACKING,
        region=NEW,
        state=begun_without,
        command="verify payments",
        rotations=1,
        next={"give it up": Reason.REGION_LACKING},
        ways={
            "give it up": ("mrk abort",),
            "finish it first": (regions(*REGIONS), "mrk run"),
        },
    ),
    "a replica that somebody made by hand": Way(
        site="orchestrator.checks._unlisted",
        reason=Reason.REGION_UNLISTED,
        region=NEW,
        state=replicated_by_hand,
        ways={"list it": (regions(*ALL), "mrk repair"), "delete it": ("aws kms schedule-key-deletion", days(31))},
    ),
    "a Region being deleted that left `regions` early": Way(
        site="orchestrator.checks._unlisted",
        reason=Reason.REGION_UNLISTED,
        region=REPLICA,
        state=left_early,
        code=3,
        ways={
            "wait": (days(8),),
            "keep it": ("aws kms cancel-key-deletion", enabled, regions(*REGIONS)),
        },
        gone=OUT,
    ),
}

STATES: dict[str, Way] = {
    "a Disabled replica": Way(
        site="orchestrator.importable._closed",
        reason=Reason.DISABLED,
        region=REPLICA,
        state=disabled,
        command="rotate payments --yes",
        rotations=1,
        ways={"enable it": ("aws kms enable-key",)},
    ),
    "a replica that is being deleted": Way(
        site="orchestrator.importable._closed",
        reason=Reason.KEY_STATE,
        region=REPLICA,
        state=deleting,
        ways={
            "keep it": ("aws kms cancel-key-deletion",),
            "keep it, and enable it": ("aws kms cancel-key-deletion", enabled),
            "let it go": (regions(PRIMARY, OTHER), days(8)),
        },
        next={"keep it": Reason.DISABLED},
        gone=OUT,
    ),
    "a replica without its key material": Way(
        site="orchestrator.importable._closed",
        reason=Reason.MATERIAL_MISSING,
        region=REPLICA,
        state=lost,
        ways={"repair it": ("mrk repair",)},
    ),
    "a replica whose key material expired": Way(
        site="orchestrator.checks.material_usable",
        reason=Reason.MATERIAL_MISSING,
        region=REPLICA,
        state=expired,
        command="renew payments",
        ways={"repair it": ("mrk repair",)},
    ),
    "a replica without its key material, verified": Way(
        site="workflows.verify._lacking",
        reason=Reason.MATERIAL_MISSING,
        region=REPLICA,
        state=lost,
        command="verify payments",
        ways={"repair it": ("mrk repair",)},
    ),
    "Disabled, then without key material": Way(
        site="orchestrator.importable.switched_off",
        reason=Reason.SWITCHED_OFF,
        region=REPLICA,
        state=off_and_lost,
        ways={"its owner wants it back": ("mrk repair",)},
    ),
    "Disabled, then without key material, verified": Way(
        site="orchestrator.importable.switched_off",
        reason=Reason.SWITCHED_OFF,
        region=REPLICA,
        state=off_and_lost,
        command="verify payments",
        ways={"its owner wants it back": ("mrk repair",)},
    ),
    "a member that its Region does not know": Way(
        site="orchestrator.looks.not_seen",
        reason=Reason.REGION_LACKING,
        region=REPLICA,
        state=gone_from_kms,
        ways={"mend it": (no_fault,)},
    ),
    "a Region in which looking is not allowed": Way(
        site="orchestrator.looks.not_seen",
        reason=Reason.ACCESS,
        region=REPLICA,
        code=3,
        state=forbidden,
        ways={"grant it": (no_fault,)},
    ),
    "a plan, and a Region in which looking is not allowed": Way(
        site="orchestrator.report.telling._unseen",
        reason=Reason.ACCESS,
        region=REPLICA,
        code=3,
        state=lambda stand: stand.simulator.faults.add(region=REPLICA, drop="before"),
        command="plan payments",
        ways={"mend it": (no_fault,)},
    ),
}
