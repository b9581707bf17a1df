"""What Kubernetes sets in every pod where a service is named mrk is no setting, and stops no command."""

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.settings import load


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("store: {uri: 'file:/a'}\nrun: {looks: 7}\n")
    return path


def links(service: str, address: str = "10.96.0.10", port: int = 4599) -> dict[str, str]:
    """What kubelet tells every container of a service, as Kubernetes documents it."""
    host = f"[{address}]" if ":" in address else address
    url, name = f"tcp://{host}:{port}", service.upper().replace("-", "_")
    return {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": str(port),
        f"{name}_SERVICE_PORT_KMS_API": str(port),
        f"{name}_PORT": url,
        f"{name}_PORT_{port}_TCP": url,
        f"{name}_PORT_{port}_TCP_PROTO": "tcp",
        f"{name}_PORT_{port}_TCP_PORT": str(port),
        f"{name}_PORT_{port}_TCP_ADDR": address,
    }


@pytest.mark.parametrize("address", ["10.96.0.10", "fd00:10:96::a"])
@pytest.mark.parametrize("service", ["mrk", "mrk-simulator", "mrk-run", "mrk-store", "mrk-store-2"])
def test_what_kubernetes_tells_of_a_service_is_passed_over(
    config: Path, monkeypatch: pytest.MonkeyPatch, service: str, address: str
) -> None:
    for name, value in links(service, address).items():
        monkeypatch.setenv(name, value)

    assert load(config, {}).run.looks == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MRK_PORT", "8080"),
        ("MRK_PORT", "http://10.0.0.1:80"),
        ("mrk_port", "tcp://10.0.0.1:80"),
        ("MRK_SERVICE_HOST", "kms.example"),
        ("MRK_SERVICE_PORT", "http"),
        ("MRK_PORT_80", "tcp://10.0.0.1:80"),
        ("MRK_PORT_80_TCP_HOST", "10.0.0.1"),
        ("MRK_SERVICE", "10.0.0.1"),
    ],
)
def test_what_only_looks_like_it_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as refused:
        load(config, {})

    assert refused.value.message == f"{name}: no setting has that name"
