"""Ways out of key material that expires, or has expired, where the config says for how long it lasts, and where not."""

from orchestrator.model import Reason
from ways.regions import expiring, key
from ways.stand import OTHER, PRIMARY, REPLICA, Stand
from ways.way import Way


def renewable(stand: Stand) -> None:
    expiring(stand)
    stand.set_key(expires="90d", renew_before="30d")


def just_expired(stand: Stand) -> None:
    """KMS lists it as IMPORTED still, with the time that is over."""
    stand.expire(days=3)
    stand.pass_time(days=3, minutes=1)


def lost_everywhere(stand: Stand) -> None:
    """Nobody tells any more until when it was valid: the store was made from files, and proved nothing yet."""
    for region in (PRIMARY, REPLICA, OTHER):
        stand.lose(region)
    stand.entry(kind="proven.json").unlink()


EXPIRIES: dict[str, Way] = {
    "key material that ends within the safety window": Way(
        site="orchestrator.checks.expires_soon",
        reason=Reason.EXPIRES_SOON,
        region=REPLICA,
        state=renewable,
        command="rotate payments --yes",
        rotations=1,
        ways={"renew it": ("mrk renew",)},
    ),
    "key material that ends soon, and nothing says for how long it may last": Way(
        site="orchestrator.checks.expires_soon",
        reason=Reason.EXPIRES_SOON,
        region=REPLICA,
        state=expiring,
        command="run payments",
        ways={
            "for ever": (key(expires="never"), "mrk renew"),
            "to expire again": (key(expires="90d", renew_before="30d"), "mrk renew"),
        },
    ),
    "key material that has ended, and nothing says for how long it may last": Way(
        site="orchestrator.lasting.ran_out",
        reason=Reason.MATERIAL_MISSING,
        region=REPLICA,
        state=just_expired,
        command="repair payments",
        ways={
            "for ever": (key(expires="never"), "mrk repair"),
            "to expire again": (key(expires="90d", renew_before="30d"), "mrk repair"),
        },
    ),
    "key material that is lost everywhere, and nothing tells until when it was valid": Way(
        site="orchestrator.lasting._over",
        reason=Reason.MATERIAL_MISSING,
        region=PRIMARY,
        state=lost_everywhere,
        command="repair payments",
        ways={"for ever": (key(expires="never"),)},
    ),
}
