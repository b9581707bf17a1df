"""Where calls go, whatever names an endpoint: AWS's own of this service and Region, one that is set, or nowhere."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader

from orchestrator.errors import KmsError, MrkError, Trouble, UsageError
from orchestrator.kms import KmsFactory, KmsOptions, check_endpoints, endpoint_class
from orchestrator.kms.endpoints import where
from orchestrator.kms.sessions import Clients
from orchestrator.model import KeyArn, Region
from orchestrator.simulator import Simulator, serve
from orchestrator.written import clean
from worlds import World

CREDENTIALS = ("111122223333", "made-up")
MADE_UP = {"aws_access_key_id": "111122223333", "aws_secret_access_key": "made-up"}
HERE, THERE = Region("us-east-1"), Region("eu-west-1")
ARN = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
ROLE = "arn:aws:iam::111122223333:role/mrk"
ASKED = {
    "kms": lambda client: client.list_keys(),
    "secretsmanager": lambda client: client.list_secrets(),
    "stepfunctions": lambda client: client.send_task_heartbeat(taskToken="token"),
    "sts": lambda client: client.get_caller_identity(),
}
VARIABLES = {"kms": "KMS", "secretsmanager": "SECRETS_MANAGER", "stepfunctions": "SFN", "sts": "STS"}
PARTITIONS = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False).load_data(
    "partitions"
)["partitions"]
REGIONS = {
    one["id"]: sorted(region for region in one["regions"] if not region.endswith("-global")) for one in PARTITIONS
}


def factory(**options: Any) -> KmsFactory:
    """Build the factory as a run does."""
    known = {"credentials": CREDENTIALS, "connect_timeout": 2.0, "read_timeout": 2.0, **options}
    return KmsFactory(KmsOptions(**known), lambda: datetime(2026, 5, 4, tzinfo=UTC), lambda _event: None)


def sent(client: Any, service: str) -> str:
    """The URL that a client really sends a request to, which is kept from leaving."""
    urls: list[str] = []

    def keep(request: Any, **_about: object) -> None:
        urls.append(request.url)
        raise ConnectionAbortedError

    client.meta.events.register_first("before-send", keep)
    with pytest.raises(ConnectionAbortedError):
        ASKED[service](client)
    return urls[0]


# ---- AWS is what botocore's rules name for the service, the Region and the partition ---------------------------------


@pytest.mark.parametrize("service", ASKED)
@pytest.mark.parametrize("partition", REGIONS)
def test_every_endpoint_that_botocore_names_is_aws_and_is_where_calls_go(partition: str, service: str) -> None:
    """In every partition, plain, FIPS and dual-stack; what the SDK itself cannot name is told as such."""
    stock, classes = botocore.session.Session(), set()
    for fips, dual_stack in product((False, True), repeat=2):
        own = factory(fips=fips, dual_stack=dual_stack)
        config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack)
        for region in REGIONS[partition]:
            try:
                plain = stock.create_client(service, region, **MADE_UP, config=config)
            except BotoCoreError:
                with pytest.raises(UsageError, match=f"no {service} client for {region}"):
                    own.client(service, Region(region))
                continue
            made = own.client(service, Region(region))
            classes.add(endpoint_class(made))
            assert where(made) == sent(made, service) == sent(plain, service)
    assert classes == {"aws"}


INTERFACES = ("vpce-0123-abcd", "vpce-0123456789abcdef0-a1b2c3d4", "vpce-0123456789abcdef0-a1b2c3d4-{region}a")


@pytest.mark.parametrize("interface", [*INTERFACES, "vpce-0123-abcd-{region}-wl1-bos-wlz-1"])
@pytest.mark.parametrize("label", ["kms", "kms-fips"])
@pytest.mark.parametrize("partition", REGIONS)
def test_an_interface_endpoint_of_the_service_and_region_is_aws(partition: str, label: str, interface: str) -> None:
    (suffix,) = (one["outputs"]["dnsSuffix"] for one in PARTITIONS if one["id"] == partition)
    region = REGIONS[partition][0]
    url = f"https://{interface.format(region=region)}.{label}.{region}.vpce.{suffix}"

    assert factory(endpoint_url=url).endpoint_class(Region(region)) == "aws"


NOT_AWS = [
    "https://x.execute-api.us-east-1.amazonaws.com",
    "https://kms.execute-api.us-east-1.amazonaws.com",
    "https://bucket.s3.us-east-1.amazonaws.com",
    "https://kms.us-east-1.amazonaws.com.s3.us-east-1.amazonaws.com",
    "https://kms.s3.amazonaws.com",
    "https://abcdef.lambda-url.us-east-1.on.aws",
    "https://kms.amazonaws.com",
    "https://secretsmanager.us-east-1.amazonaws.com",
    "https://sts.us-east-1.amazonaws.com",
    "https://kms-us-east-1.amazonaws.com",
    "https://x.kms.us-east-1.amazonaws.com",
    "https://kms.us-east-1.amazonaws.com.cn",
    "https://kms.us-east-1.amazonaws.eu",
    "https://kms.us-east-1.amazonaws.com:8443",
    "https://kms.us-east-1.amazonaws.example.com",
    "https://kms.us-east-1.api.aws.example.com",
    "https://kms.us-east-1.example.com",
    "https://amazonaws.com",
    "https://amazonaws.com.example.org",
    "https://api.aws",
    "https://vpce-0123-abcd.vpce-svc-0123.us-east-1.vpce.amazonaws.com",
    "https://vpce-0123-abcd.execute-api.us-east-1.vpce.amazonaws.com",
    "https://vpce-0123-abcd.secretsmanager.us-east-1.vpce.amazonaws.com",
    "https://vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com.example.com",
    "https://vpce-0123-abcd.kms.us-east-1.vpce.api.aws",
    "https://vpce-0123-abcd-eu-west-1a.kms.us-east-1.vpce.amazonaws.com",
    "https://vpce.kms.us-east-1.vpce.amazonaws.com",
    "https://x.vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com",
    "https://kms.us-east-1.vpce.amazonaws.com",
    "https://127.0.0.1:4599",
    "http://127.0.0.1:4599",
    "http://localhost:4599",
    "http://[::1]:4599",
]


@pytest.mark.parametrize("url", NOT_AWS)
def test_whatever_else_has_a_name_at_amazon_is_not_aws(url: str) -> None:
    """P12: a store that is stamped for AWS gives nothing to anybody's API, bucket or function."""
    assert factory(endpoint_url=url).endpoint_class(HERE) == "other"


@pytest.mark.parametrize("name", ["endpoints", "partitions"])
def test_data_of_the_users_own_does_not_say_what_aws_is(name: str, tmp_path: Path) -> None:
    """P12: the SDK takes the names of endpoints from AWS_DATA_PATH, too; it reads them once in a process."""
    data = json.dumps(botocore.session.Session().get_component("data_loader").load_data(name))
    own = data.replace('"dnsSuffix": "amazonaws.com"', '"dnsSuffix": "example.com"')
    (tmp_path / f"{name}.json").write_text(own)
    program = (
        "from test_endpoints import *; made = factory().client('kms', HERE); print(where(made), endpoint_class(made))"
    )
    environment = {**os.environ, "AWS_DATA_PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}

    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert printed == "https://kms.us-east-1.example.com/ other\n"


# ---- however an endpoint is set, the same rules hold -----------------------------------------------------------------


def by_option(url: str, service: str, *_: Any) -> dict[str, Any]:
    assert service == "kms", "aws.endpoint_url is for KMS alone"
    return {"endpoint_url": url}


def by_variable(url: str, _service: str, monkeypatch: pytest.MonkeyPatch, _directory: Path) -> dict[str, Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return {}


def by_own_variable(url: str, service: str, monkeypatch: pytest.MonkeyPatch, _directory: Path) -> dict[str, Any]:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{VARIABLES[service]}", url)
    return {}


def config_file(text: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> dict[str, Any]:
    path = directory / "aws-config"
    path.write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return {"profile": "rotation"}


def by_profile(url: str, _service: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> dict[str, Any]:
    return config_file(f"[profile rotation]\nendpoint_url = {url}\n", monkeypatch, directory)


def by_services(url: str, service: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> dict[str, Any]:
    text = (
        f"[profile rotation]\nservices = own\n[services own]\n{VARIABLES[service].lower()} =\n  endpoint_url = {url}\n"
    )
    return config_file(text, monkeypatch, directory)


By = Callable[[str, str, pytest.MonkeyPatch, Path], dict[str, Any]]
OF_ALL: tuple[By, ...] = (by_variable, by_own_variable, by_profile, by_services)
SET = [("kms", by_option), *product(VARIABLES, OF_ALL)]


def opened(service: str, **options: Any) -> Any:
    """The client that a run would use; STS is what a role is assumed by."""
    if service == "sts":
        return factory(credentials=None, role_arn=ROLE, **options)(HERE)
    return factory(**options)(HERE) if service == "kms" else factory(**options).client(service, HERE)


@pytest.fixture
def elsewhere() -> Iterator[tuple[int, list[str]]]:
    """Listen where nothing must arrive: at an address that no URL below names plainly; its port, and what came."""
    came: list[str] = []
    with socket.create_server(("127.0.0.2", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    came.append(connection.recv(1000).decode(errors="replace"))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


ASTRAY = (
    "http://127.0.0.2:{port}\\@localhost",
    "http://127.0.0.2:{port}#@localhost",
    "http://127.0.0.2:{port}?@localhost",
    "http://localhost@127.0.0.2:{port}",
    "http://user:hunter2@127.0.0.2:{port}",
    "http://0x7f.2:{port}",
    "http://2130706434:{port}",
    "http://[::ffff:127.0.0.2]:{port}",
    "http://kms.example.com:{port}",
)


@pytest.mark.parametrize(("service", "way"), SET)
def test_a_url_that_leads_astray_is_refused_and_nothing_arrives(
    service: str, way: By, elsewhere: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P12: for every service, whatever sets it; the password that it may hold is told to nobody (I14)."""
    port, came = elsewhere
    for astray in ASTRAY:
        options = way(astray.format(port=port), service, monkeypatch, tmp_path)
        with pytest.raises(MrkError) as refused:
            used(opened(service, **options), service)

        assert isinstance(refused.value, UsageError), astray
        assert refused.value.hint
        assert "hunter2" not in f"{refused.value.message} {refused.value.hint} {refused.value!r}"
    assert came == []


def credentials_file(profile: str, directory: Path) -> Path:
    path = directory / "aws-credentials"
    path.write_text(f"[{profile}]\naws_access_key_id = 111122223333\naws_secret_access_key = made-up\n")
    return path


def used(client: Any, service: str) -> None:
    """Send something, as would be done where nothing is refused."""
    if service in {"kms", "sts"}:
        client.describe_key(ARN, datetime(2026, 5, 4, tzinfo=UTC))
    else:
        ASKED[service](client)


@pytest.mark.parametrize("set_by", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "endpoint_url", "services"])
def test_the_sts_of_a_profiles_own_role_is_judged_as_well(
    set_by: str, elsewhere: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P12: the SDK makes that client by itself, when it wants credentials."""
    port, came = elsewhere
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials_file("source", tmp_path)))
    for url in (astray.format(port=port) for astray in ASTRAY):
        role = f"[profile rotation]\nrole_arn = {ROLE}\nsource_profile = source\nregion = {HERE}\n"
        if set_by.startswith("AWS_"):
            monkeypatch.setenv(set_by, url)
        elif set_by == "services":
            role += f"services = own\n[services own]\nsts =\n  endpoint_url = {url}\n"
        else:
            role += f"endpoint_url = {url}\n"
        options = config_file(role, monkeypatch, tmp_path)
        kms = factory(credentials=None, endpoint_url="http://127.0.0.1:9", **options)(HERE)

        with pytest.raises(KmsError) as refused:
            used(kms, "kms")
        assert refused.value.trouble is Trouble.PERMANENT
        assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"
        assert clean(refused.value.hint) == refused.value.hint, "what is to be typed loses nothing"
    assert came == []


@pytest.mark.parametrize(("service", "way"), SET)
def test_an_endpoint_of_this_machine_may_be_in_clear_and_is_reached_without_a_proxy(
    service: str, way: By, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P12: a proxy would take it off this machine."""
    simulator = Simulator(lag="instant")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials_file("rotation", tmp_path)))
    with serve(simulator) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", served.endpoint_url)
        options = way(served.endpoint_url, service, monkeypatch, tmp_path)
        client = opened(service, **options)
        if service in {"kms", "sts"}:
            with pytest.raises(KmsError, match="NotFoundException"):
                used(client, service)
            asked = {call.operation for call in simulator.calls}
            assert asked == {"DescribeKey"} | ({"AssumeRole"} if service == "sts" else set())
        else:
            assert where(client).startswith(served.endpoint_url)


def test_endpoints_that_are_told_to_be_ignored_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the aws command does: what does not count is not judged either."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://kms.example.com")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")

    made = factory(fips=True)

    assert made.endpoint_class(HERE) == "aws"
    assert where(made.client("kms", HERE)) == "https://kms-fips.us-east-1.amazonaws.com/"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("proxy", ["socks5://user:hunter2@127.0.0.1:9", "ftp://user:hunter2@127.0.0.1:9"])
def test_the_password_of_a_proxy_that_cannot_be_used_is_told_to_nobody(
    proxy: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I14: the SDK would quote it; whatever goes past the proxy is not its business."""
    monkeypatch.setenv(name, proxy)

    for service in VARIABLES:
        with pytest.raises(UsageError, match="the proxy for https") as refused:
            opened(service)
        assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"
    monkeypatch.setenv("NO_PROXY", ".amazonaws.com")
    assert factory().endpoint_class(HERE) == "aws"


# ---- FIPS and dual-stack ---------------------------------------------------------------------------------------------


def chosen_by_environment(name: str, monkeypatch: pytest.MonkeyPatch, _directory: Path) -> dict[str, Any]:
    monkeypatch.setenv({"fips": "AWS_USE_FIPS_ENDPOINT", "dual_stack": "AWS_USE_DUALSTACK_ENDPOINT"}[name], "true")
    return {}


def chosen_by_profile(name: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> dict[str, Any]:
    setting = {"fips": "use_fips_endpoint", "dual_stack": "use_dualstack_endpoint"}[name]
    return config_file(f"[profile rotation]\n{setting} = true\n", monkeypatch, directory)


def chosen_by_config(name: str, _monkeypatch: pytest.MonkeyPatch, _directory: Path) -> dict[str, Any]:
    return {name: True}


CHOOSING = (chosen_by_environment, chosen_by_profile, chosen_by_config)
CHOSEN = {
    ("kms", "fips"): "https://kms-fips.us-east-1.amazonaws.com/",
    ("kms", "dual_stack"): "https://kms.us-east-1.api.aws/",
    ("secretsmanager", "fips"): "https://secretsmanager-fips.us-east-1.amazonaws.com/",
    ("stepfunctions", "fips"): "https://states-fips.us-east-1.amazonaws.com/",
    ("stepfunctions", "dual_stack"): "https://states.us-east-1.api.aws/",
    ("sts", "fips"): "https://sts-fips.us-east-1.amazonaws.com/",
    ("sts", "dual_stack"): "https://sts.us-east-1.api.aws/",
}


@pytest.mark.parametrize("choosing", CHOOSING)
@pytest.mark.parametrize(("service", "name"), CHOSEN)
def test_whatever_chooses_fips_or_dual_stack_is_heard(
    service: str, name: str, choosing: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = choosing(name, monkeypatch, tmp_path)

    assert sent(factory(**options).client(service, HERE), service) == CHOSEN[service, name]


@pytest.mark.parametrize("choosing", CHOOSING[:2])
@pytest.mark.parametrize("name", ["fips", "dual_stack"])
def test_what_the_config_says_of_it_is_heard_before_the_environment(
    name: str, choosing: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = choosing(name, monkeypatch, tmp_path)

    assert where(factory(**options, **{name: False}).client("kms", HERE)) == "https://kms.us-east-1.amazonaws.com/"


OF_ONES_OWN = ("https://127.0.0.1:4599", "https://kms.us-east-1.amazonaws.com", "https://kms.corp.example.com")


@pytest.mark.parametrize(("choosing", "url"), [*zip(CHOOSING, OF_ONES_OWN, strict=True)])
@pytest.mark.parametrize("name", ["fips", "dual_stack"])
def test_an_endpoint_that_is_set_is_neither_fips_nor_dual_stack(
    name: str, choosing: Any, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Taking one of them would mean to leave the other out without a word."""
    options = choosing(name, monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    for service, variable in VARIABLES.items():
        with pytest.raises(UsageError, match=rf"aws\.{name} chooses among AWS's endpoints") as refused:
            opened(service, **options)
        assert f"AWS_ENDPOINT_URL_{variable}" in refused.value.hint
        assert f"aws.{name}: false" in refused.value.hint


@pytest.mark.parametrize(
    "url", ["https://kms-fips.us-east-1.amazonaws.com", "https://vpce-0123-abcd.kms-fips.us-east-1.vpce.amazonaws.com"]
)
def test_an_endpoint_that_is_set_may_be_the_fips_one_itself(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)

    assert factory().endpoint_class(HERE) == "aws"


# ---- one Region's endpoint -------------------------------------------------------------------------------------------

OF_ONE_REGION = (
    "https://kms.us-east-1.amazonaws.com",
    "https://kms-fips.us-east-1.amazonaws.com",
    "https://kms.us-east-1.api.aws",
    "https://vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com",
    "https://vpce-0123-abcd-us-east-1a.kms.us-east-1.vpce.amazonaws.com",
    "https://kms.us-east-1.corp.example.com",
)


@pytest.mark.parametrize(
    ("service", "way", "url"),
    [
        *(("kms", by_own_variable, url) for url in OF_ONE_REGION),
        *((*pair, OF_ONE_REGION[-1]) for pair in SET if pair[0] != "sts"),
    ],
)
def test_an_endpoint_of_one_region_is_refused_for_another(
    service: str, way: By, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = KmsOptions(**way(url, service, monkeypatch, tmp_path))

    check_endpoints(options, [(service, HERE)])
    for regions in ([THERE], [HERE, THERE], [THERE, HERE]):
        with pytest.raises(UsageError, match="is an endpoint of us-east-1, and") as refused:
            check_endpoints(options, [(service, region) for region in regions])
        assert THERE in refused.value.message
        assert f"AWS_ENDPOINT_URL_{VARIABLES[service]}" in refused.value.hint


@pytest.mark.parametrize("first", [HERE, THERE])
def test_sts_of_any_region_serves_the_keys_of_all(first: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed at the one STS that is set, signed for the Region that this is in."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://vpce-0123-abcd.sts.us-east-1.vpce.amazonaws.com")

    check_endpoints(KmsOptions(role_arn=ROLE), [("kms", THERE), ("kms", HERE)])

    assert Clients(KmsOptions(credentials=CREDENTIALS)).sts_region(first) == HERE


def test_to_judge_endpoints_nobody_is_asked_for_credentials(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It calls nothing: neither the service nor what credentials come from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.endpoint_url)
    program = tmp_path / "credentials"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'asked'}\n")
    program.chmod(0o700)
    options = config_file(f"[profile rotation]\ncredential_process = {program}\n", monkeypatch, tmp_path)

    check_endpoints(KmsOptions(role_arn=ROLE, **options), [(service, HERE) for service in VARIABLES])

    assert not list(world.simulator.calls)
    assert not (tmp_path / "asked").exists()
