"""The least that IAM, or a key policy, must allow for the configured keys. Pure: values in, policy documents out.

KMS has no condition for ImportType or KeyMaterialId: whoever may import may import NEW and EXISTING alike, and only
the primary and the replicas of a key can be told apart (AWS KMS condition keys).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from orchestrator.model import KeyArn, Proof, Region

Conditions = Mapping[str, Mapping[str, Any]]
Document = dict[str, Any]

MAC_ALGORITHM = "HMAC_SHA_256"
MANAGED_POLICY_LIMIT = 6144
"""Characters that AWS allows in a managed policy, white space not counted."""

_LOOKING = ("plan", "run", "rotate", "status", "verify", "repair", "renew", "adopt", "abort")
_PROVING = ("run", "rotate", "repair", "adopt")
_IMPORTING = (*_PROVING, "renew", "abort")
_REPLICATING = ("run", "repair")
_PRIMARY: Conditions = {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}
NEEDED_BY: Mapping[str, tuple[str, ...]] = {
    "Observe": _LOOKING,
    "ImportParameters": _IMPORTING,
    "Import": _IMPORTING,
    "Rotate": ("run", "rotate"),
    "ReplicatePolicy": _REPLICATING,
    "ReplicateTo": _REPLICATING,
    "ReplicateCreate": _REPLICATING,
    "Prove": _PROVING,
    "ProveOlder": _PROVING,
    "KeepProbe": _PROVING,
    "BreakGlassAbort": ("abort",),
    "StoreRead": (*_LOOKING, "store"),
    "StoreBatch": (*_LOOKING, "store"),
    "StoreWrite": (*_IMPORTING, "store"),
    "StoreList": ("adopt", "store"),
    "StoreMacVerify": (*_LOOKING, "store"),
    "StoreMacGenerate": (*_IMPORTING, "store"),
    "StoreKeyCheck": (*_LOOKING, "store"),
    "StoreKeyUse": (*_LOOKING, "store"),
}
"""Which commands need which statements; the names of statements begin with these words.

Abort imports, too: where a rotation took the material that was deleted, it brings that back at once (P9).
"""
COMMANDS = tuple(dict.fromkeys(command for commands in NEEDED_BY.values() for command in commands))


@dataclass(frozen=True, slots=True)
class Subject:
    """One configured key. Without Regions, a multi-Region key's members may be anywhere."""

    name: str
    arn: KeyArn
    regions: frozenset[Region] = frozenset()
    expires: bool = False
    proof: Proof = Proof.IDS_ONLY
    replicate: bool = False

    @property
    def multi_region(self) -> bool:
        """Whether this is a multi-Region key: KMS says so in its id."""
        return self.arn.key_id.startswith("mrk-")

    @property
    def where(self) -> tuple[Region, ...]:
        """The Regions of its members; `*` where they are not configured."""
        if not self.multi_region:
            return (self.arn.region,)
        return tuple(sorted(self.regions | {self.arn.region})) if self.regions else (Region("*"),)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every call of mrk has in common: how material is wrapped, and the one encryption context of proofs."""

    algorithm: str
    key_spec: str
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that is allowed for some keys."""

    kind: str
    variant: str
    why: str
    actions: tuple[str, ...]
    subjects: tuple[Subject, ...]
    conditions: Conditions = field(default_factory=dict)
    resources: tuple[str, ...] = ()
    """What is not a configured key: then there are no subjects."""

    @property
    def sid(self) -> str:
        """The name of this statement: letters and digits, as IAM wants it."""
        return self.kind + self.variant

    @property
    def needed_by(self) -> tuple[str, ...]:
        """The commands that need it."""
        return NEEDED_BY[self.kind]


def statements(
    subjects: Sequence[Subject], terms: Terms, *, commands: Sequence[str] = (), break_glass: bool = False
) -> tuple[Statement, ...]:
    """Return what must be allowed for some commands, or for all; what deletes only by `break_glass`, or for abort."""
    wanted = set(commands or COMMANDS)
    break_glass = break_glass or "abort" in commands
    found = [*_looking(subjects), *_importing(subjects, terms), *_rotating(subjects), *_proving(subjects, terms)]
    found += _replicating([one for one in subjects if one.replicate and one.multi_region and one.regions])
    found += _deleting(subjects) if break_glass else ()
    return tuple(
        one
        for one in found
        if (one.subjects or one.resources) and (one.kind == "BreakGlassAbort" or wanted & set(one.needed_by))
    )


def _looking(subjects: Sequence[Subject]) -> Iterable[Statement]:
    why = "see every Region's key, its key materials, and whether a rotation is under way"
    actions = ("kms:DescribeKey", "kms:ListKeyRotations", "kms:GetKeyRotationStatus")
    yield Statement("Observe", "", why, actions, tuple(subjects))


def _importing(subjects: Sequence[Subject], terms: Terms) -> Iterable[Statement]:
    external = {"kms:KeyOrigin": "EXTERNAL"}
    wrapping = external | {"kms:WrappingAlgorithm": terms.algorithm, "kms:WrappingKeySpec": terms.key_spec}
    why = f"get a wrapping key: {terms.key_spec} with {terms.algorithm} and no other"
    actions = ("kms:GetParametersForImport",)
    yield Statement("ImportParameters", "", why, actions, tuple(subjects), {"StringEquals": wrapping})
    for variant, expires in (("NeverExpiring", False), ("Expiring", True)):
        model = "KEY_MATERIAL_EXPIRES" if expires else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        conditions = {"StringEquals": external | {"kms:ExpirationModel": model}}
        why = "import key material that expires" if expires else "import key material that never expires"
        chosen = tuple(one for one in subjects if one.expires is expires)
        yield Statement("Import", variant, why, ("kms:ImportKeyMaterial",), chosen, conditions)


def _rotating(subjects: Sequence[Subject]) -> Iterable[Statement]:
    yield from _on_primary("Rotate", "make imported key material CURRENT", ("kms:RotateKeyOnDemand",), subjects, {})


def _replicating(subjects: Sequence[Subject]) -> Iterable[Statement]:
    """Allow replicas in the configured Regions alone. KMS asks for CreateKey there, too, which names no key."""
    if not subjects:
        return
    reading = "read the primary's key policy, to give its replicas the same"
    yield Statement("ReplicatePolicy", "", reading, ("kms:GetKeyPolicy",), tuple(subjects), _PRIMARY)
    groups = groupby(sorted(subjects, key=lambda one: one.where), lambda one: one.where)
    for number, (regions, group) in enumerate(groups, 1):
        equal = {**_PRIMARY["StringEquals"], "kms:ReplicaRegion": list(regions)}
        why, variant = "make a replica in a configured Region", str(number) if number > 1 else ""
        yield Statement("ReplicateTo", variant, why, ("kms:ReplicateKey",), tuple(group), {"StringEquals": equal})
    everywhere = {"aws:RequestedRegion": sorted({region for one in subjects for region in one.where})}
    why = "make the replica there: KMS asks for this, too; it lets its holder make any key in these Regions"
    actions, anything = ("kms:CreateKey",), ("*",)
    yield Statement("ReplicateCreate", "", why, actions, (), {"StringEquals": everywhere}, anything)


def _proving(subjects: Sequence[Subject], terms: Terms) -> Iterable[Statement]:
    """Allow proofs under the one encryption context, with no other key in it (P14)."""
    exactly = {f"kms:EncryptionContext:{name}": value for name, value in terms.context.items()}
    under: Conditions = {
        "StringEquals": exactly,
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": sorted(terms.context)},
    }
    proven = tuple(one for one in subjects if one.proof is not Proof.OFF)
    full = tuple(one for one in subjects if one.proof is Proof.FULL)
    asking = ("kms:GenerateDataKeyWithoutPlaintext",)
    yield Statement("Prove", "", "ask every Region which key material encrypts now", asking, proven, under)
    opening = "open mrk's own probes, and nothing else: what older key materials encrypted"
    yield Statement("ProveOlder", "", opening, ("kms:Decrypt",), full, under)
    yield from _on_primary("KeepProbe", "encrypt mrk's probe", ("kms:Encrypt",), full, under)


def _deleting(subjects: Sequence[Subject]) -> Iterable[Statement]:
    why = "withdraw pending key material (abort); KMS also lets it delete any other, which kills the key there"
    yield from _on_primary("BreakGlassAbort", why, ("kms:DeleteImportedKeyMaterial",), subjects, {})


def _on_primary(
    kind: str, why: str, actions: tuple[str, ...], subjects: Sequence[Subject], conditions: Conditions
) -> Iterable[Statement]:
    """Allow on primaries only; single-Region keys have no type that a condition could name."""
    equal = {"StringEquals": {**conditions.get("StringEquals", {}), **_PRIMARY["StringEquals"]}}
    multi = tuple(one for one in subjects if one.multi_region)
    single = tuple(one for one in subjects if not one.multi_region)
    yield Statement(kind, "OnPrimary", f"{why}, on the primary only", actions, multi, {**conditions, **equal})
    yield Statement(kind, "SingleRegion", why, actions, single, conditions)


@dataclass(frozen=True, slots=True)
class Secrets:
    """A store in AWS Secrets Manager. `keys` are those that it is encrypted with, by Region: ids, ARNs or aliases."""

    partition: str
    region: Region
    prefix: str
    accounts: tuple[str, ...]
    keys: Mapping[Region, str] = field(default_factory=dict)
    replicated: bool = False
    mac_key: str | None = None
    """The key that tells who made an entry, in the store's own Region."""


def store_statements(secrets: Secrets, commands: Sequence[str] = ()) -> tuple[Statement, ...]:
    """Return what a store in Secrets Manager needs: to create and to read; nothing that changes or deletes a secret."""
    wanted = set(commands or COMMANDS)
    found = list(_secrets(secrets))
    for region, key in secrets.keys.items():
        found += _store_key(secrets, region, key)
    found += _mac_key(secrets, secrets.mac_key) if secrets.mac_key else ()
    return tuple(one for one in found if wanted & set(one.needed_by))


def _secrets(secrets: Secrets) -> Iterable[Statement]:
    place = f"arn:{secrets.partition}:secretsmanager:{secrets.region}"
    arns = tuple(f"{place}:{account}:secret:{secrets.prefix}/*" for account in secrets.accounts)
    reading = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret")
    yield Statement("StoreRead", "", "read the store: the secrets below its prefix", reading, (), resources=arns)
    batch = ("secretsmanager:BatchGetSecretValue",)
    why = "read many secrets at once; without StoreRead it reads none, and IAM knows no narrower way"
    yield Statement("StoreBatch", "", why, batch, (), resources=("*",))
    writing = ("secretsmanager:CreateSecret", "secretsmanager:ReplicateSecretToRegions")
    why = "add to the store; nothing allows to change or delete what is there"
    yield Statement("StoreWrite", "", why, writing if secrets.replicated else writing[:1], (), resources=arns)
    listing = ("secretsmanager:ListSecrets",)
    yield Statement("StoreList", "", "list names of secrets; IAM knows no narrower way", listing, (), resources=("*",))


_GUARDED = tuple(
    f"secretsmanager:{action}"
    for action in (
        "CreateSecret",
        "ReplicateSecretToRegions",
        "PutSecretValue",
        "UpdateSecret",
        "UpdateSecretVersionStage",
        "DeleteSecret",
        "RestoreSecret",
        "RotateSecret",
        "PutResourcePolicy",
        "DeleteResourcePolicy",
        "RemoveRegionsFromReplication",
        "StopReplicationToReplica",
    )
)
"""Whatever adds to a store, or changes what is there."""


def guard(secrets: Secrets, principals: Sequence[str]) -> Document:
    """Return a policy that denies everybody but these roles and users to add to a store, or to change it.

    In every Region: a secret that is made elsewhere under a name of the store could be replicated into its Region.
    """
    place = f"arn:{secrets.partition}:secretsmanager:*"
    entry = {
        "Sid": "StoreGuard",
        "Effect": "Deny",
        "Action": list(_GUARDED),
        "Resource": [f"{place}:{account}:secret:{secrets.prefix}/*" for account in secrets.accounts],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(principals)}},
    }
    return {"Version": "2012-10-17", "Statement": [entry]}


def _store_key(secrets: Secrets, region: Region, key: str) -> Iterable[Statement]:
    """Allow to see whether a key has imported material, and its use through Secrets Manager alone."""
    variant = "In" + "".join(filter(str.isalnum, region.title()))
    arns, of_alias = _key_named(secrets, region, key)
    why = "see that the store's own key has no imported key material"
    yield Statement("StoreKeyCheck", variant, why, ("kms:DescribeKey",), (), of_alias, arns)
    using = ("kms:GenerateDataKey", "kms:Decrypt", *(("kms:Encrypt",) if secrets.replicated else ()))
    services = [f"secretsmanager.{one}.{_suffix(secrets.partition)}" for one in sorted({region, secrets.region})]
    through = {"StringEquals": {"kms:ViaService": services}, **of_alias}
    yield Statement("StoreKeyUse", variant, "use it, through Secrets Manager alone", using, (), through, arns)


def _mac_key(secrets: Secrets, key: str) -> Iterable[Statement]:
    """Allow to tell who made an entry, and, to those who add to the store, to say that it was they."""
    arns, of_alias = _key_named(secrets, secrets.region, key)
    only: Conditions = {"StringEquals": {"kms:MacAlgorithm": MAC_ALGORITHM}, **of_alias}
    why = "see that the key in store.mac_key has no imported key material"
    yield Statement("StoreKeyCheck", "OfMaker", why, ("kms:DescribeKey",), (), of_alias, arns)
    yield Statement("StoreMacVerify", "", "tell who made an entry", ("kms:VerifyMac",), (), only, arns)
    why = "say of an entry that mrk made it: whoever may do this can have his own key material taken for mrk's"
    yield Statement("StoreMacGenerate", "", why, ("kms:GenerateMac",), (), only, arns)


def _key_named(secrets: Secrets, region: Region, key: str) -> tuple[tuple[str, ...], Conditions]:
    """Return the ARNs of a key that is given by its id, its ARN or an alias, and the condition that names an alias."""
    place = f"arn:{secrets.partition}:kms:{region}"
    alias = key.partition(":alias/")[2] or key.removeprefix("alias/") if "alias/" in key else ""
    key_id = "*" if alias else key.rpartition("/")[2]
    own = (key,) if key.startswith("arn:") and not alias else ()
    arns = own or tuple(f"{place}:{account}:key/{key_id}" for account in secrets.accounts)
    return arns, {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}} if alias else {}


def _suffix(partition: str) -> str:
    return "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"


def identity_policy(found: Iterable[Statement], *, compact: bool = False) -> Document:
    """Return an IAM policy: exact ARNs; compact: key ids in any Region, and the Regions in a condition."""
    entries = [
        entry for one in found for entry in (_compacted(one) if compact and not one.resources else [_exact(one)])
    ]
    return {"Version": "2012-10-17", "Statement": entries}


def key_policy(found: Iterable[Statement], principal: str) -> Document:
    """Return statements for a key's own policy, in every Region: there, `*` is that key."""
    own = (one for one in found if not one.resources)
    entries = [_entry(one, one.sid, ["*"], one.conditions, {"AWS": principal}) for one in own]
    return {"Version": "2012-10-17", "Statement": entries}


def _exact(one: Statement) -> Document:
    arns = [str(subject.arn.within(region)) for subject in one.subjects for region in subject.where]
    return _entry(one, one.sid, [*arns, *one.resources], one.conditions)


def _compacted(one: Statement) -> list[Document]:
    """Return an entry for each set of Regions: as narrow as exact ARNs, for a call's Region is its key's."""

    def where(subject: Subject) -> tuple[Region, ...]:
        return subject.where

    entries = []
    for number, (regions, group) in enumerate(groupby(sorted(one.subjects, key=where), where), 1):
        arns = [str(subject.arn.within(Region("*"))) for subject in group]
        equal = {**one.conditions.get("StringEquals", {}), "aws:RequestedRegion": list(regions)}
        conditions = one.conditions if regions == ("*",) else {**one.conditions, "StringEquals": equal}
        entries.append(_entry(one, f"{one.sid}{number if number > 1 else ''}", arns, conditions))
    return entries


def _entry(
    one: Statement, sid: str, resources: list[str], conditions: Conditions, principal: Mapping[str, str] | None = None
) -> Document:
    return {
        "Sid": sid,
        "Effect": "Allow",
        **({"Principal": dict(principal)} if principal else {}),
        "Action": list(one.actions),
        "Resource": resources if len(resources) > 1 else resources[0],
        **({"Condition": {name: dict(values) for name, values in conditions.items()}} if conditions else {}),
    }


def size(document: Document) -> int:
    """Count the characters of a policy as IAM does: without white space."""
    return len(json.dumps(document, separators=(",", ":")))
