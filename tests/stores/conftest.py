from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import FileStand, SecretStand, WrappingKey

from secrets_server import SecretsServer, secrets_server


@pytest.fixture(scope="session")
def wrapping_key() -> WrappingKey:
    return WrappingKey()


@pytest.fixture(scope="session")
def server() -> Iterator[SecretsServer]:
    """Secrets Manager, as a process."""
    with secrets_server() as running:
        yield running


@pytest.fixture
def secrets(server: SecretsServer, monkeypatch: pytest.MonkeyPatch) -> SecretStand:
    """A secretsmanager: store that is not made yet."""
    server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
    return SecretStand(server)


@pytest.fixture
def stand(tmp_path: Path) -> FileStand:
    """A file: store that is not made yet."""
    return FileStand(tmp_path)
