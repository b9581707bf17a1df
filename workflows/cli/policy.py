"""mrk policy: the least that must be allowed, as an IAM policy or as statements for key policies. Calls nothing."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

import typer

from orchestrator import policy
from orchestrator.errors import Exit, UsageError
from orchestrator.kms.answers import WRAPPING_KEY_SPEC
from orchestrator.model import KeyArn, Region, Replicate, is_alias
from orchestrator.perform import PROBE_CONTEXT
from orchestrator.policy import Statement, Subject, Terms
from orchestrator.report import documents
from orchestrator.settings import KeySettings, Settings
from orchestrator.stores.secretsmanager.address import Address
from orchestrator.stores.secretsmanager.keys import key_in
from workflows.cli.common import read_settings
from workflows.cli.completion import beginning
from workflows.cli.options import ConfigOption, JsonOption, NamesArgument
from workflows.cli.results import write_json
from workflows.jobs import named

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(?P<account>[0-9]{12}):[\w+=,.@/-]+")
_IDENTITY_NOTES = (
    "an IAM policy counts only where the key's own policy lets IAM decide, as the default does; else use --kind key",
)
_KEY_NOTES = (
    "add these statements to the key's policy in every Region: key policies are not synchronised",
    "put-key-policy replaces the whole policy: keep the statement that lets you administer the key",
)
_SCP_NOTES = (
    "it only denies: attach it to the keys' accounts as a service control policy, or to every other role there",
    "a service control policy does not bind the management account of an organisation",
    "name everybody who adds to the store: the role that runs mrk, and whoever calls mrk store init or mrk adopt",
)
_NOTES: Mapping[str, Sequence[str]] = {
    "Import": (
        "KMS has no condition for the kind of import: whoever may import may send NEW and EXISTING key material alike",
        "key material that expires otherwise than `expires` says, or though that is not set, needs both Imports",
    ),
    "OnPrimary": ("which key is the primary follows a promotion, and so does what is allowed on the primary only",),
    "ReplicateCreate": (
        "a Region without the key has no key policy: CreateKey and DescribeKey there need an IAM policy",
    ),
    "BreakGlassAbort": (
        "whoever may delete pending key material may delete any other, too: give that to a role that no schedule uses",
    ),
}
"""What is to be known of statements of one kind or variant."""


def command(
    names: NamesArgument = None,
    *,
    kind: Annotated[
        Literal["iam", "key", "scp"],
        typer.Option(
            "--kind",
            help="iam: a policy for the role; key: statements for key policies; scp: deny the store to others.",
        ),
    ] = "iam",
    principals: Annotated[
        list[str] | None,
        typer.Option(
            "--principal",
            metavar="ARN",
            help="Who is allowed, with --kind key; who is not denied, with scp (repeatable).",
        ),
    ] = None,
    commands: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="COMMAND",
            help="Only what this command needs; repeatable.",
            autocompletion=beginning(policy.COMMANDS),
        ),
    ] = None,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Also what only `mrk abort` needs: deleting key material.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Name the Regions once, in a condition: shorter, and as narrow.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the least that must be allowed for the configured keys; stderr tells which command needs what."""
    principal = _principal(kind, principals or [])
    _check(kind, [*(commands or []), *(["abort"] if break_glass else [])], compact=compact)
    settings = read_settings(config)
    subjects = [_subject(settings, name, key) for name, key in named(settings, names or []).items()]
    if kind == "scp":
        return _denied(settings, subjects, principals or [], as_json=as_json)
    terms = Terms(settings.aws.wrapping_algorithm, WRAPPING_KEY_SPEC, PROBE_CONTEXT)
    allowed = partial(policy.statements, terms=terms, commands=commands or (), break_glass=break_glass)
    found = allowed(subjects)
    if principal:
        _alike({one.name: policy.key_policy(allowed([one]), principal) for one in subjects}, principal)
    found += () if principal else _store(settings, subjects, commands or ())
    if not found:
        message = f"--for {' and '.join(commands or ())} needs nothing of AWS with this config"
        raise UsageError(message, "there is no policy to give; leave --for out, or name another command")
    document = policy.key_policy(found, principal) if principal else policy.identity_policy(found, compact=compact)
    particular = _notes(settings, subjects, found, document, principal)
    notes = [*particular, *(_KEY_NOTES if principal else _IDENTITY_NOTES), *_general(found)]
    if as_json:
        about: dict[str, Any] = {"policy": document, "statements": [_about(one) for one in found], "notes": notes}
        write_json(documents.envelope(Exit.OK, **about))
    else:
        _tell(found, notes)
        write_json(document)
    return Exit.OK


def _principal(kind: str, principals: Sequence[str]) -> str | None:
    """Return the one principal of a key policy; None for what has none, or several."""
    wrong = {"iam": bool(principals), "key": len(principals) != 1, "scp": not principals}
    if wrong[kind]:
        wanted = "--kind scp" if kind == "scp" else "--kind key"
        raise UsageError(f"{wanted} and --principal ARN go together", "name the role that runs mrk")
    for one in principals:
        if not (_PRINCIPAL.fullmatch(one) and (kind == "key" or ":iam::" in one)):
            hint = "such as arn:aws:iam::111122223333:role/mrk"
            raise UsageError(f"--principal {one!r} is not the ARN of a role or user", hint)
    return principals[0] if kind == "key" else None


def _check(kind: str, commands: Sequence[str], *, compact: bool) -> None:
    if kind != "iam" and compact:
        raise UsageError("--compact goes with --kind iam", f"a policy of kind {kind} names no Regions")
    if kind == "scp" and commands:
        wrong = "--for and --break-glass go with --kind iam or key"
        raise UsageError(wrong, "what denies others is the same for every command")
    unknown = sorted(set(commands) - set(policy.COMMANDS))
    if unknown:
        raise UsageError(f"--for {unknown[0]} needs nothing of KMS", f"use one of {', '.join(policy.COMMANDS)}")


def _subject(settings: Settings, name: str, key: KeySettings) -> Subject:
    if is_alias(key.arn):
        hint = f"write the key's own ARN in the config: aws kms describe-key --key-id {key.arn} --query KeyMetadata.Arn"
        raise UsageError(f"key {name} is given by an alias, which no policy can name", hint)
    wanted = settings.policy(key)
    auto = wanted.replicate is Replicate.AUTO
    return Subject(
        name, KeyArn.parse(key.arn), wanted.regions, isinstance(wanted.expires, timedelta), wanted.proof, auto
    )


def _alike(policies: Mapping[str, object], principal: str) -> None:
    """Refuse keys whose policies would have to differ: a key policy is one key's."""
    groups: dict[str, list[str]] = {}
    for name, wanted in policies.items():
        groups.setdefault(str(wanted), []).append(name)
    if len(groups) > 1:
        end = f"--kind key --principal {principal}"
        alike = "; ".join(f"mrk policy {' '.join(names)} {end}" for names in groups.values())
        raise UsageError("these keys need different key policies: they differ in proof, expiry, kind or Regions", alike)


def _general(found: Sequence[Statement]) -> Iterable[str]:
    """Say what is to be known of these statements, and of no others."""
    words = {word for one in found for word in (one.kind, one.variant)}
    return [note for about, notes in _NOTES.items() if about in words for note in notes]


def _notes(
    settings: Settings,
    subjects: Sequence[Subject],
    found: Sequence[Statement],
    document: Mapping[str, Any],
    principal: str | None,
) -> Iterable[str]:
    """Say what is particular to this config."""
    anywhere = [one.name for one in subjects if one.where == ("*",)]
    if anywhere and not principal:
        yield f"`regions` is not configured for {', '.join(anywhere)}: any Region (*) is allowed"
    length = policy.size(dict(document))
    if length > policy.MANAGED_POLICY_LIMIT and not principal:
        limit = f"a managed policy may have {policy.MANAGED_POLICY_LIMIT}"
        yield f"this policy has {length} characters, {limit}: use --compact, or name fewer keys"
    accounts = sorted({one.arn.account for one in subjects})
    ours = _PRINCIPAL.fullmatch(principal or "")
    changes = any(one.kind in {"ImportParameters", "Import", "Rotate", "BreakGlassAbort"} for one in found)
    if changes and (len(accounts) > 1 or (ours and ours["account"] not in accounts)):
        yield f"KMS lets nobody import or rotate from another account: use it within {', '.join(accounts)} each"
    yield _of_store(settings, principal)
    if settings.aws.role_arn:
        yield f"this is for {settings.aws.role_arn}; whoever runs mrk needs sts:AssumeRole on that role"


def _of_store(settings: Settings, principal: str | None) -> str:
    scheme = settings.store.uri.partition(":")[0]
    if scheme == "file":
        return "the store file: needs nothing of AWS"
    if scheme != "secretsmanager":
        return f"the store {scheme}: has permissions of its own, which are not in here"
    if principal:
        return f"the store {scheme}: needs an IAM policy, too: mrk policy --kind iam"
    if settings.store.kms_key:
        return f"the store {scheme}: the policy of its own key {settings.store.kms_key} must let IAM decide, too"
    return f"the store {scheme}: is encrypted with AWS's own key, which needs no permission"


def _store(settings: Settings, subjects: Sequence[Subject], commands: Sequence[str]) -> tuple[Statement, ...]:
    secrets = _secrets(settings, subjects)
    return policy.store_statements(secrets, commands) if secrets else ()


def _secrets(settings: Settings, subjects: Sequence[Subject]) -> policy.Secrets | None:
    """Describe the store, where it is one in Secrets Manager."""
    scheme, _, location = settings.store.uri.partition(":")
    if scheme != "secretsmanager" or not subjects:
        return None
    address, store = Address.parse(location), settings.store
    regions = [address.region, *(Region(region) for region in store.replica_regions)]
    return policy.Secrets(
        subjects[0].arn.partition,
        address.region,
        address.prefix,
        tuple(sorted({one.arn.account for one in subjects})),
        {region: key for region in regions if (key := key_in(store.kms_key, region))},
        replicated=bool(store.replica_regions),
        mac_key=key_in(store.mac_key, address.region),
    )


def _denied(settings: Settings, subjects: Sequence[Subject], principals: Sequence[str], *, as_json: bool) -> int:
    """Print what denies everybody else to add to the store."""
    secrets = _secrets(settings, subjects)
    if secrets is None:
        message = f"--kind scp is for a store secretsmanager:, and not for {settings.store.uri.partition(':')[0]}:"
        raise UsageError(message, "a store file: is guarded by the permissions of its directory")
    document = policy.guard(secrets, principals)
    if as_json:
        write_json(documents.envelope(Exit.OK, policy=document, statements=[], notes=list(_SCP_NOTES)))
    else:
        _tell((), _SCP_NOTES)
        write_json(document)
    return Exit.OK


def _about(one: Statement) -> dict[str, object]:
    return {"sid": one.sid, "why": one.why, "needed_by": list(one.needed_by)}


def _tell(found: Sequence[Statement], notes: Sequence[str]) -> None:
    for one in found:
        sys.stderr.write(f"{one.sid}: to {one.why}\n  needed by: {', '.join(one.needed_by)}\n")
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
