"""The CA bundle that the SDK would verify certificates by: read before anything is sent."""

import ssl
from pathlib import Path

from orchestrator.errors import UsageError


def check_bundle(path: str, setting: str) -> None:
    """Refuse a bundle that no certificate can be verified by; raises UsageError, which names the setting."""
    hint = f"name a PEM file with the certificates of the CAs that sign here in {setting}, or take that away"
    try:
        if Path(path).is_dir():
            raise UsageError(f"{setting} {path} is a directory, and the SDK takes only a file", hint)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise UsageError(f"{setting} {path} holds no certificate in PEM", hint) from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "that is no path"
        raise UsageError(f"{setting} {path} cannot be read: {said}", hint) from None
