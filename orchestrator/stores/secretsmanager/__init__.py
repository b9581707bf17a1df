"""The store `secretsmanager:`: every entry and every mark is one secret, created once (docs/store.md)."""

from .opening import check_secrets_store, init_secrets_store, open_secrets_store, secrets_services

__all__ = ["check_secrets_store", "init_secrets_store", "open_secrets_store", "secrets_services"]
