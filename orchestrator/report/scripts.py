"""A plan as a shell script of plain aws and openssl commands: to read, or to run by hand where mrk may not run."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.model import (
    DeletePendingMaterial,
    DepositMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    MaterialId,
    ProveRegion,
    ReplicateKey,
    RotateOnDemand,
)
from orchestrator.perform import PROBE_CONTEXT
from orchestrator.plan import Plan, Planned
from orchestrator.progress import Report

_CONTEXT = ",".join(f"{name}={value}" for name, value in PROBE_CONTEXT.items())

_HEAD = r"""#!/bin/sh
# The plan of mrk as plain aws, openssl and age commands. It stops at the first error.
# mrk judges every Region again right before the point of no return, and waits with patience; this script only waits.
set -eu
umask 077

import_material() {  # Region, key ARN, file, ImportType, then more options of aws kms import-key-material
  region=$1 key=$2 file=$3 kind=$4; shift 4
  work=$(mktemp -d)
  aws kms get-parameters-for-import --region "$region" --key-id "$key" --wrapping-algorithm "$WRAPPING" \
      --wrapping-key-spec RSA_4096 --query '[PublicKey, ImportToken]' --output text > "$work/parameters"
  cut -f1 "$work/parameters" | base64 -d > "$work/wrapping-key.der"
  cut -f2 "$work/parameters" | base64 -d > "$work/token"
  openssl pkeyutl -encrypt -in "$file" -out "$work/wrapped" -inkey "$work/wrapping-key.der" -keyform DER -pubin \
      -pkeyopt rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$DIGEST" -pkeyopt "rsa_mgf1_md:$DIGEST"
  aws kms import-key-material --region "$region" --key-id "$key" --import-type "$kind" --query KeyMaterialId \
      --encrypted-key-material "fileb://$work/wrapped" --import-token "fileb://$work/token" --output text "$@"
  rm -r "$work"
}

state_of() {  # Region, key ARN, material id
  aws kms list-key-rotations --region "$1" --key-id "$2" --include-key-material ALL_KEY_MATERIAL --output text \
      --query "Rotations[?KeyMaterialId=='$3'].KeyMaterialState"
}

replicate() {  # Region, key ARN, Region of the replica, ARN there: with the same key policy, so access is not widened
  policy=policy-$3.json
  aws kms get-key-policy --region "$1" --key-id "$2" --policy-name default --query Policy --output text > "$policy"
  aws kms replicate-key --region "$1" --key-id "$2" --replica-region "$3" --policy "file://$policy" > /dev/null
  for _ in $(seq 60); do
    state=$(aws kms describe-key --region "$3" --key-id "$4" --query KeyMetadata.KeyState --output text || true)
    test "$state" != PendingImport || return 0
    sleep 5
  done
  echo "waited 5 minutes in vain for the replica in $3" >&2
  return 1
}

LISTED='PENDING_ROTATION PENDING_MULTI_REGION_IMPORT_AND_ROTATION CURRENT NON_CURRENT'

wait_for() {  # states, Region, key ARN, material id
  for _ in $(seq 180); do
    state=$(state_of "$2" "$3" "$4")
    for wanted in $1; do test "$state" != "$wanted" || return 0; done
    sleep 5
  done
  echo "waited 15 minutes in vain for $1 in $2" >&2
  return 1
}
"""


@dataclass(frozen=True, slots=True)
class Means:
    """What a script needs beside the plan: how to wrap, and where the store's entries and the identity are."""

    algorithm: str
    store_uri: str
    identity: Path | None


def script(plans: Sequence[tuple[Report, Plan | None]], means: Means) -> str:
    """Write the plans of several keys as one script; it tells of each key, also where nothing is to be done."""
    digest = "sha1" if means.algorithm.endswith("SHA_1") else "sha256"
    head = f"{_HEAD}\nWRAPPING={means.algorithm}\nDIGEST={digest}\n"
    return "\n".join((head, *(_body(report, plan, means) for report, plan in plans)))


def _body(report: Report, plan: Plan | None, means: Means) -> str:
    name = report.job.name
    lines = [f"# {'-' * 30} {name}"]
    stage = ""
    for step in plan.steps if plan else ():
        if step.stage != stage:
            stage = step.stage
            lines.append(f"\n# {stage}")
        lines += _lines(name, step, means)
    lines += _afterwards(name, plan.steps if plan else ())
    stopped = plan.end.blocks if plan else report.blocks
    lines += [_comment(f"not done: {block.message} -> {block.way_out}") for block in stopped]
    if not stopped and not (plan and plan.steps):
        lines.append(_comment(f"nothing to do: {report.message}" if plan is None else "nothing to do"))
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Write a comment, which ends at the end of its line."""
    return "# " + " ".join(text.split())


def _afterwards(name: str, steps: Sequence[Planned]) -> Iterable[str]:
    """Say what is left to do with the key material that lies about in clear."""
    new = any(isinstance(step.action, DepositMaterial) for step in steps)
    files = dict.fromkeys(
        ([_file(name)] if new else [])
        + [_old(name, step.action) for step in steps if isinstance(step.action, ImportMaterial) and _known(step.action)]
    )
    if new:
        yield ""
        yield _say(f"bring the new material into the store: mrk adopt {shlex.join([name, _file(name)])}")
    if files:
        yield _say(f"key material lies here in clear; once the store holds it: shred -u {shlex.join(files)}")


def _say(text: str) -> str:
    return f"echo {shlex.quote(text)}"


def _lines(name: str, step: Planned, means: Means) -> Iterable[str]:
    match step.action:
        case DepositMaterial():
            file = shlex.quote(_file(name))
            yield _comment(f"KMS never gives this back: keep a copy of {_file(name)} in a safe place before you go on.")
            yield f"test -s {file} || openssl rand -out {file} 32"
        case ImportMaterial():
            yield from _import(name, step.action, means)
        case RotateOnDemand(arn=arn, material_id=material):
            yield f"wait_for PENDING_ROTATION {arn.region} {arn} {_id(material)}"
            yield "# ===== point of no return: this cannot be undone, and costs one of 25 rotations for life ====="
            yield f"aws kms rotate-key-on-demand --region {arn.region} --key-id {arn}"
        case DeletePendingMaterial(arn=arn, material_id=material):
            yield "# wait until no rotation can be under way (15 min since any sign of one), then:"
            key = f"--region {arn.region} --key-id {arn} --key-material-id {material}"
            yield f"aws kms delete-imported-key-material {key}"
        case ReplicateKey(arn=arn, region=region):
            yield f"replicate {arn.region} {arn} {region} {arn.within(region)}"
        case ProveRegion(arn=arn, material_id=material):
            yield f"wait_for CURRENT {arn.region} {arn} {_id(material)}"
            asked = (
                f"aws kms generate-data-key-without-plaintext --region {arn.region} --key-id {arn} --key-spec AES_256"
                f" --encryption-context {_CONTEXT} --query KeyMaterialId --output text"
            )
            yield f'test "$({asked})" = {_id(material)}'
        case other:
            yield f"# {other.kind}: mrk does this in its store"


def _import(name: str, action: ImportMaterial, means: Means) -> Iterable[str]:
    more = _expiry(action)
    if action.import_type is ImportType.NEW:
        sent = f"{action.arn.region} {action.arn} {shlex.quote(_file(name))} {action.import_type} {more}"
        yield f"NEW_ID=$(import_material {sent})"
        return
    file = _file(name)
    if _known(action):
        file = _old(name, action)
        yield from _restored(file, action.entry, means)
    material = _id(action.material_id)
    yield f'wait_for "$LISTED" {action.arn.region} {action.arn} {material}'
    line = f"import_material {action.arn.region} {action.arn} {shlex.quote(file)} {action.import_type} {more}"
    yield f"{line} --key-material-id {material}"


def _known(action: ImportMaterial) -> bool:
    """Whether this material is in KMS already: its bytes are in the store, under the entry's name."""
    return action.import_type is not ImportType.NEW and action.material_id not in {None, "new"}


def _restored(file: str, entry: EntryName, means: Means) -> Iterable[str]:
    """Bring bytes that the store holds into a file, with the stock age command."""
    scheme, _, location = means.store_uri.partition(":")
    quoted = shlex.quote(file)
    if scheme != "file":
        yield _comment(f"bring the bytes of {entry} from {means.store_uri} into {file}, as docs/store.md says")
        yield f"test -s {quoted}"
        return
    path = Path(location.removeprefix("//")) / str(entry.key) / f"{entry.replaces or 'first'}.{entry.attempt}.age"
    opened = shlex.join(["age", "-d", "-i", str(means.identity or "IDENTITY-FILE"), str(path)])
    yield f'test -s {quoted} || {opened} | sed -n \'s/.*"key_material": "\\(.*\\)".*/\\1/p\' | base64 -d > {quoted}'
    yield f'test "$(wc -c < {quoted})" -eq 32'


def _expiry(action: ImportMaterial) -> str:
    if action.valid_to is None:
        return "--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE"
    return f"--expiration-model KEY_MATERIAL_EXPIRES --valid-to {action.valid_to:%Y-%m-%dT%H:%M:%SZ}"


def _id(material: MaterialId | None) -> str:
    return '"$NEW_ID"' if material in {None, "new"} else str(material)


def _file(name: str) -> str:
    return f"{name}-new-material.bin"


def _old(name: str, action: ImportMaterial) -> str:
    return f"{name}-{str(action.material_id)[:8]}.bin"
