"""An identity that was handed to this process, as Kubernetes, systemd and Docker mount secrets: read as who runs there.

Files of other users, and processes of theirs, need root.
"""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyrage
import pytest

from orchestrator import compose
from orchestrator.settings import load
from orchestrator.stores.identity import identities
from pods import POD, User, mounted, said_by

NOBODYS = 54321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")


@pytest.fixture
def mount() -> Iterator[Path]:
    """A directory that everybody may look into, as pytest's own is not."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def secret(mount: Path, mode: int, owner: int, group: int) -> Path:
    """Mount an identity."""
    mounted(mount, {"identity.txt": f"{pyrage.x25519.Identity.generate()}\n"}, mode, owner, group)
    return mount / "identity.txt"


SOUND: dict[str, tuple[int, int, int, User]] = {
    "in a pod, by fsGroup": (0o440, 0, POD, User()),
    "in a pod, by fsGroup, with the mode 0600 that was asked for": (0o640, 0, POD, User()),
    "in a pod whose user is of the root group, by another fsGroup": (0o440, 0, 2000, User(gid=0, groups=(0, 2000))),
    "in a pod of a user whom nobody chose": (0o440, 0, 0, User(uid=1000650000, gid=0, groups=(0,))),
    "in a pod of root, by fsGroup": (0o440, 0, NOBODYS, User(uid=0, gid=0, groups=(0, NOBODYS))),
    "of this user": (0o400, POD, POD, User()),
    "of root alone, for root": (0o400, 0, 0, User(uid=0, gid=0, groups=(0,))),
    "of Docker's, for the user that it names": (0o400, POD, POD, User(groups=())),
}


@pytest.mark.parametrize(("mode", "owner", "group", "user"), SOUND.values(), ids=SOUND)
def test_what_nobody_else_may_read_is_read(mount: Path, mode: int, owner: int, group: int, user: User) -> None:
    path = secret(mount, mode, owner, group)

    assert said_by(user, lambda: identities(path)) == ""


IN_A_POD = f"in a pod set `defaultMode: 0400` for the secret's volume and `fsGroup: {POD}` in `securityContext`"
IN_DOCKER = f'in Docker give the secret `mode: 0400` and `uid: "{POD}"`'
REFUSED: dict[str, tuple[int, int, int, User, str]] = {
    "mounted with the usual mode": (0o644, 0, POD, User(), "has mode 0644, wanted 0600: others than its owner"),
    "as Docker mounts a secret": (0o444, 0, 0, User(), "has mode 0444, wanted 0600: others than its owner"),
    "writable for the group": (0o660, 0, POD, User(), "by their group (1000)"),
    "of another user, by the group": (0o440, 2000, POD, User(), "belongs to user id 2000"),
    "of this user, by the group": (0o440, POD, POD, User(), "by their group (1000)"),
    "of a group that root is not of": (0o440, 0, 2000, User(0, 0, (0,)), "group 2000 may read it, and this process is"),
    "of root alone": (0o400, 0, 0, User(), "user 1000 (groups 1000) may not read the identity file"),
    "of a group of others, without fsGroup": (0o440, 0, 2000, User(), "may not read the identity file"),
}


@pytest.mark.parametrize(("mode", "owner", "group", "user", "said"), REFUSED.values(), ids=REFUSED)
def test_what_others_may_read_or_this_process_may_not_is_refused_with_what_sets_it_right(
    mount: Path, mode: int, owner: int, group: int, user: User, said: str
) -> None:
    """The impossible is not asked for: only root changes what is root's."""
    path = secret(mount, mode, owner, group)

    told = said_by(user, lambda: identities(path))

    assert said in told
    assert str(path) in told
    if owner == user.uid:
        assert f"chmod 600 {path}, and ask who had access" in told
    else:
        assert IN_A_POD in told
        assert IN_DOCKER.replace(str(POD), str(user.uid)) in told
        assert f"as root: chown {user.uid} {path} && chmod 600 {path}" in told


def test_a_group_with_other_members_is_named(mount: Path) -> None:
    """On a machine that is no pod, a group is often of several: they could read it, too."""
    group, member = _group_of_others()
    path = secret(mount, 0o440, 0, group)

    told = said_by(User(gid=group, groups=(group,)), lambda: identities(path))

    assert f"group {group} may read it, and so may " in told
    assert member in told


def _group_of_others() -> tuple[int, str]:
    return next((user.pw_gid, user.pw_name) for user in pwd.getpwall() if user.pw_uid and user.pw_gid)


@pytest.mark.parametrize("name", ["mounted with the usual mode", "of root alone", "of this user, by the group"])
def test_on_a_read_only_mount_nobody_is_told_to_change_a_mode(mount: Path, name: str) -> None:
    """As every secret of a pod is mounted."""
    mode, owner, group, user, said = REFUSED[name]
    path = secret(mount, mode, owner, group)

    told = said_by(user, lambda: identities(path), mount)

    assert said in told
    assert f"where it is mounted, set that right: {IN_A_POD}" in told
    assert "chmod" not in told
    assert "chown" not in told


CONFIG = """
store: {{uri: "file:{store}", recipients: [{own}, {recovery}], identity: {secret}/identity.txt, volatile: allow}}
keys: {{payments: {{arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"}}}}
run: {{after: {config}/notify}}
"""


@pytest.mark.parametrize("above", [0o1777, 0o777])
def test_a_pod_whose_config_hook_and_identity_are_mounted_is_sound(mount: Path, above: int) -> None:
    """A ConfigMap lies in a directory that everybody could write to, were it not mounted read-only."""
    own, recovery = (pyrage.x25519.Identity.generate() for _ in range(2))
    config, secret_ = mount / "config", mount / "secret"
    named = {"own": own.to_public(), "recovery": recovery.to_public(), "config": config, "secret": secret_}
    text = CONFIG.format(store=mount / "data" / "store", **named)
    for folder in (config, secret_):
        folder.mkdir()
    mounted(config, {"config.yaml": text, "notify": "#!/bin/sh\n"}, 0o755, 0, POD, above)
    mounted(secret_, {"identity.txt": f"{own}\n"}, 0o440, 0, POD)

    def checked() -> None:
        compose.check(load(config / "config.yaml", {}))

    assert said_by(User(), checked, config, secret_) == ""
    if above == 0o777:
        assert f"{config} has mode 0777: others than its owner could change it" in said_by(User(), checked)
