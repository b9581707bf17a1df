"""Rotate: new key material into the primary, the same bytes into every replica, judged once more, made CURRENT."""

from orchestrator.stages import (
    deposited,
    healthy,
    primary_imported,
    proven,
    ready,
    replicas_imported,
    rotated,
    settled,
)

ROTATE = (healthy, deposited, primary_imported, replicas_imported, ready, rotated, settled, proven)
