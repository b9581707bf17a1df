"""Whether a secret stays readable, under a good key, and in every Region that it should be in."""

from collections.abc import Mapping

from orchestrator.errors import EntryError, KmsError, Trouble
from orchestrator.model import Region
from orchestrator.retry import Retry

from .calls import Replica, SecretsManager
from .keys import EncryptionKeys
from .meaning import deletion, unseen
from .reader import SecretReader

_IN_SYNC = "InSync"
_FAILED = "Failed"


class Keeping:
    """Looks after secrets: sees how they are kept, and replicates those that are not where they should be."""

    def __init__(
        self,
        secrets: SecretsManager,
        reader: SecretReader,
        keys: EncryptionKeys,
        replicas: Mapping[Region, str | None],
        retry: Retry,
    ) -> None:
        self._secrets = secrets
        self._reader = reader
        self._keys = keys
        self._replicas = replicas
        self._retry = retry

    def check(self, secret: str) -> None:
        """Raise StoreError where a secret is not kept as it should be, and KmsError while it is being replicated."""
        self._retry(lambda: self._check(secret))

    def check_key(self, region: Region, key: str | None, what: str) -> None:
        """Raise StoreError where a key has imported key material."""
        self._retry(lambda: self._keys.check(region, key, what))

    def _check(self, secret: str) -> None:
        kept, region = self._reader.described(secret), self._reader.region
        if kept is None:
            raise unseen(secret, region)
        if kept.deleted:
            raise deletion(secret, region)
        if kept.rotating:
            raise EntryError(
                f"the secret {secret} is rotated by Secrets Manager, which would replace its content",
                f"aws secretsmanager cancel-rotate-secret --region {region} --secret-id {secret}",
            )
        self.check_key(region, kept.key, f"the secret {secret} is encrypted with")
        for replica in kept.replicas:
            self.check_key(replica.region, replica.key, f"the replica of {secret} is encrypted with")
        if kept.primary_region in {None, region}:
            self._check_replicas(secret, {replica.region: replica for replica in kept.replicas})

    def _check_replicas(self, secret: str, found: Mapping[Region, Replica]) -> None:
        missing = {region: key for region, key in self._replicas.items() if region not in found}
        if missing:
            self._secrets.replicate(secret, missing)
        for replica in (found[region] for region in self._replicas if region in found):
            if replica.status == _FAILED:
                raise EntryError(
                    f"the secret {secret} is not replicated to {replica.region}: {replica.message}",
                    "mend that, then: aws secretsmanager remove-regions-from-replication --secret-id"
                    f" {secret} --remove-replica-regions {replica.region} - and run again",
                )
            if replica.status != _IN_SYNC:
                missing[replica.region] = replica.key
        if missing:
            raise KmsError(
                f"the secret {secret} is still being replicated to {', '.join(sorted(missing))}",
                "run again",
                trouble=Trouble.TRANSIENT,
                operation="DescribeSecret",
                region=self._reader.region,
            )
