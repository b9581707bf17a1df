"""The store `secretsmanager:`: every entry and every mark is one secret, created once (docs/store.md)."""

from .opening import init_secrets_store, open_secrets_store

__all__ = ["init_secrets_store", "open_secrets_store"]
