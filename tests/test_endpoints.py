"""Where calls go: FIPS and dual-stack endpoints as AWS names them, and what cannot go together."""

from datetime import UTC, datetime

import pytest

from orchestrator.errors import UsageError
from orchestrator.kms.factory import KmsFactory, KmsOptions
from orchestrator.model import Region

CREDENTIALS = ("111122223333", "made-up")


def endpoint(region: str, **options: object) -> tuple[str, str]:
    """Build the client of one Region, as a run does; nothing is called."""
    factory = KmsFactory(
        KmsOptions(credentials=CREDENTIALS, **options),  # type: ignore[arg-type]
        lambda: datetime(2026, 5, 4, tzinfo=UTC),
        lambda _event: None,
    )
    return factory(Region(region)).endpoint_url, factory.endpoint_class(Region(region))


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("region", "fips", "dual_stack", "url"),
    [
        ("eu-west-1", False, False, "https://kms.eu-west-1.amazonaws.com"),
        ("us-east-1", True, False, "https://kms-fips.us-east-1.amazonaws.com"),
        ("us-east-1", False, True, "https://kms.us-east-1.api.aws"),
        ("us-east-1", True, True, "https://kms-fips.us-east-1.api.aws"),
        ("cn-north-1", False, False, "https://kms.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", True, False, "https://kms-fips.us-gov-west-1.amazonaws.com"),
    ],
)
def test_calls_go_to_the_endpoint_that_aws_names(region: str, fips: bool, dual_stack: bool, url: str) -> None:
    """AWS's own rules for endpoints; each of them counts as AWS for the store's stamp (P12)."""
    assert endpoint(region, fips=fips, dual_stack=dual_stack) == (url, "aws")


@pytest.mark.parametrize("switch", ["fips", "dual_stack"])
def test_an_endpoint_of_ones_own_is_neither_fips_nor_dual_stack(switch: str) -> None:
    """Taking one of them would mean to leave the other out without a word."""
    with pytest.raises(UsageError) as refused:
        endpoint("us-east-1", endpoint_url="https://127.0.0.1:4599", **{switch: True})

    assert f"aws.{switch}" in refused.value.message
    assert "endpoint" in refused.value.message
    assert refused.value.hint
