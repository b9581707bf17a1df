"""One request on its way through an operation: who asks, where, with what, when, and the key that is meant."""

import random
import re
from dataclasses import dataclass
from typing import Any

from orchestrator.simulator import aws_managed
from orchestrator.simulator.errors import ServiceError, not_found
from orchestrator.simulator.grants import permits
from orchestrator.simulator.regions import partition_of
from orchestrator.simulator.rules import READS, TAKES_ALIAS, require_state
from orchestrator.simulator.state import KeySet
from orchestrator.simulator.switches import Switches
from orchestrator.simulator.timing import Lag
from orchestrator.simulator.tokens import ImportTokens
from orchestrator.simulator.view import KeyView
from orchestrator.simulator.world import World
from orchestrator.simulator.wrapping import WrappingKeys

_ARN = re.compile(r"arn:(?P<partition>[^:]+):kms:(?P<region>[^:]*):(?P<account>[^:]*):(?P<resource>(key|alias)/.+)")
_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Services:
    """What every operation may use."""

    world: World
    lag: Lag
    switches: Switches
    tokens: ImportTokens
    wrapping_keys: WrappingKeys
    rng: random.Random


@dataclass(frozen=True, slots=True)
class Request:
    """A validated request, as an operation gets it."""

    services: Services
    operation: str
    region: str
    account: str
    params: dict[str, Any]
    now: float
    caller: str
    """The caller's arn, as refusals name it."""

    @property
    def partition(self) -> str:
        """Return the AWS partition of the Region that was called."""
        return partition_of(self.region)

    @property
    def world(self) -> World:
        """Return the keys."""
        return self.services.world

    @property
    def switches(self) -> Switches:
        """Return the open questions' answers."""
        return self.services.switches

    def key(self, name: str = "KeyId") -> KeyView:
        """Return the key meant by that parameter, in the called Region, whatever its state."""
        return self.find(self.params[name], name)

    def usable_key(self, name: str = "KeyId") -> KeyView:
        """Return the key meant by that parameter if its state allows the operation."""
        view = self.key(name)
        require_state(view, self.operation)
        return view

    def age(self) -> float:
        """Draw how old the world is that this call knows."""
        return self.services.lag.age(self.services.rng, self.operation)

    def find(self, given: str, name: str = "KeyId") -> KeyView:
        """Return the key called that (id, arn, or where allowed alias); NotFoundException if there is none, or not yet.

        A read may get the key as it was some seconds ago. `name` is the parameter that it was given in.
        """
        age = self.age()
        key_id = self._resolve(given, age, name)
        keys = self.known(key_id, age, name)
        # Another account's key is named by its arn only.
        if keys is None or (keys.account != self.account and not given.startswith("arn:")):
            raise not_found(f"Key '{self.key_arn(key_id)}' does not exist")
        view = KeyView(keys, keys.members[self.region], self.now - self._seen(age), self.switches)
        if keys.manager == "AWS":
            aws_managed.require_allowed(self.operation, self.caller, view.arn)
        return view

    def known(self, key_id: str, age: float, name: str = "KeyId") -> KeySet | None:
        """Return the key as this call knows it; None if there is none in this Region for this account, or not yet."""
        keys = self.world.known(key_id, self.region, self.now, age=age)
        if keys is not None and self._seen(age) != age:
            keys = self.world.known(key_id, self.region, self.now)
        mine = keys is not None and (keys.account == self.account or self._is_granted(keys, name))
        return keys if mine else None

    def _seen(self, age: float) -> float:
        return age if self.operation in READS else 0.0

    def view(self, keys: KeySet, region: str | None = None) -> KeyView:
        """Return the view from the called Region, or from another one."""
        return KeyView(keys, keys.members[region or self.region], self.now, self.switches)

    def truth(self, view: KeyView) -> KeySet:
        """Return what really is of a key that was found: the value to change and to put back."""
        keys = self.world.truth(view.keys.key_id, self.now)
        if keys is None:
            raise not_found(f"Key '{view.arn}' does not exist")
        return keys

    def put(self, keys: KeySet) -> None:
        """Store a changed key."""
        self.world.put(keys, self.now)

    def key_arn(self, key_id: str) -> str:
        """Return the arn that a key id has, or would have, here."""
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{key_id}"

    def _is_granted(self, keys: KeySet, name: str) -> bool:
        """Tell whether a grant opens another account's key to this call."""
        action, context = self.operation, "EncryptionContext"
        if action == "ReEncrypt":
            side = "Destination" if name == "DestinationKeyId" else "Source"
            action, context = f"ReEncrypt{'To' if side == 'Destination' else 'From'}", f"{side}EncryptionContext"
        given = self.params.get(context, {})
        return any(permits(grant, self.caller, action, given) for grant in keys.members[self.region].grants)

    def _resolve(self, given: str, age: float, name: str) -> str:
        """Return the key id behind an id, arn or alias; refuse what does not read as one of these."""
        if given.startswith("alias/"):
            return self._alias(given, age)
        if not given.startswith("arn:"):
            if not _KEY_ID.fullmatch(given):
                raise not_found(f"Invalid keyId '{given}'")
            return given
        return self._resolve_arn(given, age, name)

    def _resolve_arn(self, given: str, age: float, name: str) -> str:
        match = _ARN.fullmatch(given)
        if match is None:
            raise ServiceError("InvalidArnException", f"Invalid arn {given}")
        if match["region"] != self.region or match["partition"] != self.partition:
            raise not_found(f"Invalid arn {match['region']}")
        kind, _, rest = match["resource"].partition("/")
        if match["account"] != self.account and not (kind == "key" and self.known(rest, age, name)):
            raise self.denied()
        return rest if kind == "key" else self._alias(f"alias/{rest}", age)

    def _alias(self, name: str, age: float) -> str:
        if self.operation not in TAKES_ALIAS:
            raise ServiceError("InvalidArnException", "Key Aliases are not supported for this operation.")
        alias = self.world.alias(self.account, self.region, name, self.now, age=age)
        if alias is None and self.operation == "DescribeKey" and name in aws_managed.PREDEFINED:
            return aws_managed.associated(self.world, self.account, self.region, name, self.now)
        if alias is None:
            raise not_found(f"Alias arn:{self.partition}:kms:{self.region}:{self.account}:{name} is not found.")
        return alias.key_id

    def denied(self, resource: str = "this resource") -> ServiceError:
        """Return AWS's refusal of what is not the caller's; it does not tell whether there is any such thing."""
        return ServiceError(
            "AccessDeniedException",
            f"User: {self.caller} is not authorized to perform: kms:{self.operation} on {resource} because "
            "the resource does not exist in this Region, no resource-based policies allow access, "
            "or a resource-based policy explicitly denies access",
        )
