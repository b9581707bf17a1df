from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import FileStand, SecretStand, Stand, WrappingKey

from orchestrator.ports import MaterialStore
from orchestrator.simulator import Simulator, serve
from secrets_server import SecretsServer, secrets_server


@pytest.fixture(scope="session")
def wrapping_key() -> WrappingKey:
    return WrappingKey()


@pytest.fixture(scope="session")
def server() -> Iterator[SecretsServer]:
    """Secrets Manager, as a process."""
    with secrets_server() as running:
        yield running


@pytest.fixture(scope="session")
def kms_url() -> Iterator[str]:
    """KMS, which makes and verifies MACs."""
    with serve(Simulator()) as served:
        yield served.endpoint_url


@pytest.fixture
def secrets(server: SecretsServer, kms_url: str, monkeypatch: pytest.MonkeyPatch) -> SecretStand:
    """A secretsmanager: store that is not made yet."""
    server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
    return SecretStand(server, kms_url)


@pytest.fixture
def stand(tmp_path: Path) -> FileStand:
    """A file: store that is not made yet."""
    return FileStand(tmp_path)


@pytest.fixture
def owned(secrets: SecretStand) -> SecretStand:
    """A secretsmanager: store that tells who made its entries, and is not made yet."""
    secrets.make_mac_key()
    return secrets


STANDS = {"file": "stand", "secretsmanager": "secrets", "secretsmanager with a maker": "owned"}


@pytest.fixture(params=STANDS)
def any_stand(request: pytest.FixtureRequest) -> Stand:
    """Every store there is, not made yet: a new one joins by one line in STANDS."""
    found: Stand = request.getfixturevalue(STANDS[request.param])
    return found


@pytest.fixture
def store(any_stand: Stand) -> MaterialStore:
    return any_stand.init()
