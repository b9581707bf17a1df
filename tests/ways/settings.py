"""Ways out of settings that are refused, keys that are of another kind, and what others may change."""

from collections.abc import Callable

from orchestrator.model import Reason
from ways.stand import PRIMARY, Stand
from ways.way import Way


def made(**asked: str) -> Callable[[Stand], None]:
    """The config names another key, too, that is made otherwise."""

    def state(stand: Stand) -> None:
        arn = stand.client().create_key(**asked)["KeyMetadata"]["Arn"]
        stand.set_key("orders", arn=arn)

    return state


def taken_out(stand: Stand) -> None:
    """Take the other key out of the config."""
    del stand.machine.keys["orders"]
    stand.machine.write_config()


def a_new_key(stand: Stand) -> None:
    """Make a symmetric key with imported material in its place."""
    stand.machine.make_key_quickly((PRIMARY,), name="orders")
    stand.well("adopt", "orders", "orders.bin")


def imported(stand: Stand) -> None:
    """Import the first key material by hand."""
    file = stand.machine.directory / "orders.bin"
    file.write_bytes(bytes(range(32)))
    stand.machine.import_quickly(stand.machine.keys["orders"]["arn"], file, "NEW_KEY_MATERIAL")


def never_imported(stand: Stand) -> None:
    made(Origin="EXTERNAL")(stand)
    (stand.machine.directory / "orders.bin").write_bytes(bytes(32))


def alias(stand: Stand) -> None:
    stand.set_key(arn=str(stand.arn).replace(f"key/{stand.arn.key_id}", "alias/payments"))


def aliased(stand: Stand) -> None:
    """Check the alias: make it lead to the key."""
    stand.client().create_alias(AliasName="alias/payments", TargetKeyId=stand.arn.key_id)


def open_config(stand: Stand) -> None:
    (stand.machine.directory / "config.yaml").chmod(0o666)


def hook(stand: Stand) -> None:
    """A hook that everybody may change."""
    path = stand.machine.directory / "hook"
    path.write_text("#!/bin/sh\ncat > /dev/null\n")
    stand.set_more("run", after=str(path))
    path.chmod(0o777)


def open_folder(stand: Stand) -> None:
    """Everybody may put something into the directory of the journals."""
    (stand.machine.directory / "runs").mkdir(exist_ok=True)
    (stand.machine.directory / "runs").chmod(0o777)


def in_memory(stand: Stand) -> None:
    """The store is on a file system in memory."""
    root = f"/dev/shm/mrk-{stand.machine.directory.name}-{stand.arn.key_id[-8:]}"  # noqa: S108 - that is the point
    store = {"uri": f"file:{root}", "recipients": stand.machine.identities, "identity": "identity.txt"}
    stand.notes["root"] = root
    stand.machine.more["store"] = store
    stand.machine.write_config()


def on_a_disk(stand: Stand) -> None:
    del stand.machine.more["store"]
    stand.machine.write_config()


KEYS: dict[str, Way] = {
    "a key that KMS makes the material of": Way(
        site="orchestrator.kinds._not_external",
        reason=Reason.NOT_EXTERNAL,
        region=PRIMARY,
        state=made(),
        command="run",
        ways={"take it out": (taken_out, "aws kms rotate-key-on-demand")},
    ),
    "a key that is not symmetric": Way(
        site="orchestrator.kinds.right_kind",
        reason=Reason.NOT_SYMMETRIC,
        region=PRIMARY,
        state=made(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
        command="run",
        ways={"make a new key": (a_new_key,)},
    ),
    "a key that was never imported into": Way(
        site="orchestrator.goals._never_imported",
        reason=Reason.NEVER_IMPORTED,
        region=PRIMARY,
        state=never_imported,
        command="run orders",
        files=lambda _: {"FILE": "orders.bin"},
        ways={"import it, and adopt that": (imported, "mrk adopt")},
    ),
    "a file, and a key that was never imported into": Way(
        site="workflows.adopt.pinned",
        reason=Reason.NEVER_IMPORTED,
        region=PRIMARY,
        state=never_imported,
        command="adopt orders orders.bin",
        ways={"import it": (imported,)},
    ),
    "an alias that leads nowhere": Way(
        site="workflows.cli.common._unresolved",
        reason=Reason.ACCESS,
        region=PRIMARY,
        state=alias,
        ways={"make it lead there": (aliased,)},
    ),
}

TRUST: dict[str, Way] = {
    "a config that everybody may change": Way(
        site="orchestrator.trusted.check_obeyed",
        state=open_config,
        code=2,
        ways={"close it": ("chmod go-w",)},
    ),
    "a hook that everybody may change": Way(
        site="orchestrator.trusted.check_obeyed",
        state=hook,
        code=2,
        ways={"close it": ("chmod go-w",)},
    ),
    "a journal that everybody may change": Way(
        site="orchestrator.trusted._check_ours",
        state=open_folder,
        code=2,
        ways={"close it": ("chmod o-w",)},
    ),
    "an abort that nobody is asked about": Way(
        site="workflows.cli.abort.command",
        state=lambda _: None,
        command="abort payments",
        code=2,
        ways={"say yes": ()},
        again="abort payments --yes",
    ),
    "a store in memory": Way(
        site="orchestrator.stores.durable.check_durable",
        state=in_memory,
        command="store init",
        ways={"put it on a disk": (on_a_disk,)},
        again="run payments",
    ),
}
