"""AWS managed keys: the aliases that every account has, the keys behind them, and what a caller may do with these."""

import json
import uuid

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.events import DAY, with_first_material
from orchestrator.simulator.regions import partition_of
from orchestrator.simulator.state import SYMMETRIC, Automatic, KeySet, Member
from orchestrator.simulator.world import Alias, World

PREFIX = "alias/aws/"

PREDEFINED = frozenset(
    f"{PREFIX}{service}"
    for service in (
        "acm",
        "dynamodb",
        "ebs",
        "elasticfilesystem",
        "es",
        "glue",
        "kinesis",
        "kinesisvideo",
        "lambda",
        "rds",
        "redshift",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "xray",
    )
)
"""Aliases that AWS has made before there is a key behind them; which these are differs by account and Region."""

_PERIOD_DAYS = 365


def require_allowed(operation: str, caller: str, arn: str) -> None:
    """Refuse what the policy of an AWS managed key does not let its account do: all but reading and revoking grants."""
    if operation.startswith(("Describe", "Get", "List")) or operation == "RevokeGrant":
        return
    action = f"kms:{operation}"
    raise ServiceError(
        "AccessDeniedException",
        f"User: {caller} is not authorized to perform: {action} on resource: {arn} "
        f"because no resource-based policy allows the {action} action",
    )


def associated(world: World, account: str, region: str, name: str, now: float) -> str:
    """Return the id of the key behind a predefined alias; it is made when it is first asked for."""
    known = world.aliases.get((account, region), {}).get(name)
    if known is not None:
        return known.key_id
    keys = _made(account, region, name.removeprefix(PREFIX), now)
    # The alias was there before, so no call is too early to know it.
    world.put(keys, 0.0)
    world.put_alias(account, region, name, Alias(name, keys.key_id, now, now))
    return keys.key_id


def _made(account: str, region: str, service: str, now: float) -> KeySet:
    member = Member(
        region=region,
        created=now,
        description=f"Default key that protects my {service} data when no other key is defined",
        policy=_policy(account, region, service),
    )
    keys = KeySet(
        key_id=str(uuid.uuid4()),
        account=account,
        partition=partition_of(region),
        spec=SYMMETRIC,
        usage="ENCRYPT_DECRYPT",
        origin="AWS_KMS",
        multi_region=False,
        primary=region,
        members={region: member},
        automatic=Automatic(period_days=_PERIOD_DAYS, next_at=now + _PERIOD_DAYS * DAY),
        last_period_days=_PERIOD_DAYS,
        manager="AWS",
    )
    return with_first_material(keys, now)


def _policy(account: str, region: str, service: str) -> str:
    through = {"kms:ViaService": f"{service}.{region}.amazonaws.com", "kms:CallerAccount": account}
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"]
    statements = [
        {
            "Sid": f"Allow access through {service} for all principals in the account",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": use,
            "Resource": "*",
            "Condition": {"StringEquals": through},
        },
        {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{partition_of(region)}:iam::{account}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
            "Resource": "*",
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-1", "Statement": statements}, indent=2)
