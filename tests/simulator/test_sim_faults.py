"""Faults, hooks and the record of calls."""

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, bytes_of, refusal, send

from orchestrator.simulator import Call, Simulator, serve

SIGNED = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20270115/{PRIMARY}/kms/aws4_request, SignedHeaders=host, Signature=0"
FIRST, SECOND = bytes_of("first"), bytes_of("second")


def ask(endpoint_url: str, operation: str, body: Any) -> tuple[int, bytes]:
    """Return status and body of the answer to a call that no SDK would make, or not so often."""
    connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc, timeout=60)
    headers = {"Authorization": SIGNED, "X-Amz-Target": f"TrentService.{operation}"}
    try:
        connection.request("POST", "/", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def post(cloud: Cloud, path: str, body: Any, method: str = "POST") -> Any:
    return send(cloud.endpoint_url, f"/_simulator/{path}", body, method)[1]


def get(cloud: Cloud, path: str) -> Any:
    return send(cloud.endpoint_url, f"/_simulator/{path}", method="GET")[1]


class TestFaults:
    def test_an_error_before_the_effect(self, cloud: Cloud) -> None:
        key = cloud.key()
        cloud.sim.faults.add(operation="DescribeKey", times=2, error="KMSInternalException", status=500, message="m")
        for _ in range(2):
            assert refusal(cloud.kms().describe_key, KeyId=key) == ("KMSInternalException", "m")
        assert cloud.state(key) == "PendingImport"

    @pytest.mark.parametrize(
        ("code", "status"),
        [("KMSInternalException", 500), ("ServiceUnavailable", 503), ("ThrottlingException", 400)],
    )
    def test_an_error_has_the_status_that_goes_with_it(self, cloud: Cloud, code: str, status: int) -> None:
        cloud.sim.faults.add(error=code)
        with pytest.raises(ClientError) as caught:
            cloud.kms().list_keys()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert (code == "ThrottlingException") == ("exceeded the rate" in caught.value.response["Error"]["Message"])

    def test_calls_are_counted_per_rule_operation_and_region(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        cloud.sim.faults.add(operation="DescribeKey", region=REPLICA, calls={2}, error="ThrottlingException")
        cloud.describe(key)
        cloud.describe(key, REPLICA)
        cloud.describe(key)
        assert refusal(cloud.kms(REPLICA).describe_key, KeyId=key)[0] == "ThrottlingException"
        cloud.describe(key, REPLICA)

    def test_a_region_that_is_down(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        rule = cloud.sim.faults.add(region=REPLICA, drop="before")
        for _ in range(2):
            with pytest.raises(ConnectionClosedError):
                cloud.describe(key, REPLICA)
        assert cloud.state(key) == "Enabled"
        cloud.sim.faults.remove(rule)
        assert cloud.state(key, REPLICA) == "Enabled"

    @pytest.mark.parametrize(("drop", "rotations"), [("before", 0), ("after", 1)])
    def test_a_lost_request_and_a_lost_reply(self, cloud: Cloud, drop: str, rotations: int) -> None:
        key = cloud.ready_key(FIRST)
        cloud.new(key, SECOND)
        cloud.sim.faults.add(operation="RotateKeyOnDemand", times=1, drop=drop)
        with pytest.raises(ConnectionClosedError):
            cloud.kms().rotate_key_on_demand(KeyId=key)
        truth = cloud.sim.key(PRIMARY, key)
        assert truth is not None
        assert truth.rotations == rotations

    def test_an_error_after_the_effect(self, cloud: Cloud) -> None:
        key = cloud.ready_key(FIRST)
        cloud.sim.faults.add(operation="DisableKey", error="KMSInternalException", status=500, after_effect=True)
        assert refusal(cloud.kms().disable_key, KeyId=key)[0] == "KMSInternalException"
        assert cloud.state(key) == "Disabled"

    def test_a_slow_answer_waits_in_real_time(self, make_cloud: Callable[..., Cloud]) -> None:
        waited: list[float] = []
        cloud = make_cloud(sleep=waited.append)
        cloud.sim.faults.add(delay=12.5, times=1)
        cloud.key()
        cloud.key()
        assert waited == [12.5]

    def test_calls_that_are_held_never_make_it_deaf(self, cloud: Cloud) -> None:
        """However many wait, its own endpoints answer, and a rule that is taken out of force lets them go on."""
        key = cloud.key()
        cloud.sim.calls.clear()
        rule = post(cloud, "faults", {"operation": "DescribeKey", "delay": 3600})
        with ThreadPoolExecutor(40) as clients:
            waiting = [clients.submit(ask, cloud.endpoint_url, "DescribeKey", {"KeyId": key}) for _ in range(40)]
            while len(get(cloud, "calls")["calls"]) < 32:
                assert len(get(cloud, "faults")["faults"]) == 1
            post(cloud, "faults", {"number": rule["number"]}, "DELETE")
            assert [status for status, _ in (one.result() for one in waiting)] == [200] * 40

    def test_a_server_that_closes_lets_go_what_is_held(self, cloud: Cloud) -> None:
        sim = Simulator()
        sim.faults.add(operation="CreateKey", delay=3600)
        served = serve(sim)
        with ThreadPoolExecutor(1) as client, served:
            lost = client.submit(ask, served.endpoint_url, "CreateKey", {})
            while len(sim.calls) == 0:
                get(cloud, "clock")
            served.close()
            assert sim.calls[-1].result == "ok"
            assert lost.exception(timeout=30) is not None or lost.result()[0] == 200

    def test_an_effect_and_then_silence(self, make_cloud: Callable[..., Cloud]) -> None:
        """A reply that is lost by a timeout."""
        seen: list[tuple[float, int]] = []

        def look(seconds: float) -> None:
            truth = cloud.sim.key(PRIMARY, key)
            assert truth is not None
            seen.append((seconds, truth.rotations_spent))

        cloud = make_cloud(sleep=look, rotation_seconds=60)
        key = cloud.ready_key(FIRST)
        cloud.new(key, SECOND)
        post(cloud, "faults", {"operation": "RotateKeyOnDemand", "delay": 7, "delay_after": 3600})
        cloud.kms().rotate_key_on_demand(KeyId=key)
        assert seen == [(7, 0), (3600, 1)]

    def test_a_rule_that_does_nothing_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(ValueError, match="needs"):
            cloud.sim.faults.add(operation="DescribeKey")
        with pytest.raises(ValueError, match="'before' or 'after'"):
            cloud.sim.faults.add(drop="sometimes")

    def test_rules_go_over_http_too(self, cloud: Cloud) -> None:
        rule = post(cloud, "faults", {"operation": "CreateKey", "calls": [1], "error": "LimitExceededException"})
        assert [fault["calls"] for fault in get(cloud, "faults")["faults"]] == [[1]]
        assert refusal(cloud.kms().create_key)[0] == "LimitExceededException"
        post(cloud, "faults", {"number": rule["number"]}, "DELETE")
        post(cloud, "faults", {"error": "DependencyTimeoutException", "status": 500})
        assert refusal(cloud.kms().create_key)[0] == "DependencyTimeoutException"
        post(cloud, "faults", {}, "DELETE")
        cloud.key()


class TestHooks:
    def test_a_hook_sees_the_world_before_and_after_and_may_call_it(self, cloud: Cloud) -> None:
        key = cloud.ready_key(FIRST)
        seen: list[tuple[str, str]] = []

        def look(call: Call, moment: str) -> None:
            if call.operation == "DisableKey":
                truth = cloud.sim.key(PRIMARY, key)
                assert truth is not None
                seen.append((moment, truth.key_state))
                cloud.sim.call("DescribeKey", PRIMARY, ACCOUNT, {"KeyId": key})

        cloud.sim.hooks.append(look)
        cloud.kms().disable_key(KeyId=key)
        assert seen == [("before", "Enabled"), ("after", "Disabled")]

    def test_a_hook_may_change_the_world_under_a_call(self, cloud: Cloud) -> None:
        key = cloud.ready_key(FIRST)

        def switch_off(call: Call, moment: str) -> None:
            if (call.operation, moment) == ("Encrypt", "before"):
                cloud.sim.call("DisableKey", PRIMARY, ACCOUNT, {"KeyId": key})

        cloud.sim.hooks.append(switch_off)
        assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"

    def test_a_failure_of_its_own_is_answered_and_recorded(
        self, cloud: Cloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(call: Call, moment: str) -> None:
            raise RuntimeError(f"{call.operation} {moment}")

        cloud.sim.hooks.append(fail)
        assert refusal(cloud.kms().list_keys)[0] == "KMSInternalException"
        assert cloud.sim.calls[-1].result == "KMSInternalException"
        assert "ListKeys before" in caplog.text
        cloud.sim.hooks.clear()
        cloud.key()


class TestCalls:
    def test_calls_are_recorded_without_secrets(self, cloud: Cloud) -> None:
        key = cloud.ready_key(FIRST)
        cloud.kms().encrypt(KeyId=key, Plaintext=b"very secret", EncryptionContext={"a": "b"})
        refusal(cloud.kms(REPLICA).describe_key, KeyId=key)
        encrypt, describe = cloud.sim.calls[-2:]
        assert (encrypt.operation, encrypt.region, encrypt.account, encrypt.result) == (
            "Encrypt",
            PRIMARY,
            ACCOUNT,
            "ok",
        )
        assert encrypt.parameters == {
            "KeyId": key,
            "Plaintext": "<11 bytes>",
            "EncryptionContext": {"a": "b"},
        }
        assert (describe.region, describe.result, describe.at) == (REPLICA, "NotFoundException", cloud.clock())
        assert describe.number == encrypt.number + 1

    def test_a_blob_inside_a_structure_is_no_more_than_its_length(self, cloud: Cloud) -> None:
        recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"secret"}
        assert refusal(cloud.kms().generate_random, NumberOfBytes=1, Recipient=recipient)[0] == "NotSimulatedException"
        [call] = get(cloud, "calls")["calls"]
        assert call["parameters"]["Recipient"] == {**recipient, "AttestationDocument": "<6 bytes>"}

    def test_calls_are_read_and_cleared_over_http(self, cloud: Cloud) -> None:
        for _ in range(3):
            cloud.key()
        calls = get(cloud, "calls")["calls"]
        assert [call["operation"] for call in calls] == ["CreateKey"] * 3
        after = get(cloud, f"calls?after={calls[1]['number']}")["calls"]
        assert [call["number"] for call in after] == [calls[2]["number"]]
        post(cloud, "calls", {}, "DELETE")
        assert get(cloud, "calls")["calls"] == []
        assert len(cloud.sim.calls) == 0

    def test_sts_is_recorded_and_faulted_too(self, cloud: Cloud, session: boto3.Session) -> None:
        sts = session.client(
            "sts",
            region_name=PRIMARY,
            endpoint_url=cloud.endpoint_url,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="x",
        )
        cloud.sim.faults.add(operation="GetCallerIdentity", times=1, error="AccessDenied", status=403)
        assert refusal(sts.get_caller_identity)[0] == "AccessDenied"
        sts.get_caller_identity()
        assert [(call.operation, call.result) for call in cloud.sim.calls] == [
            ("GetCallerIdentity", "AccessDenied"),
            ("GetCallerIdentity", "ok"),
        ]

    def test_passwords_and_their_like_are_not_recorded(self, cloud: Cloud) -> None:
        secret = "very-secret-indeed"
        proxy = {"AccessKeyId": secret, "RawSecretAccessKey": secret * 3}
        given = {"CustomKeyStoreName": "mine", "KeyStorePassword": secret, "XksProxyAuthenticationCredential": proxy}
        ask(cloud.endpoint_url, "CreateCustomKeyStore", given)
        # What no SDK would send: a secret in the wrong place, or of the wrong type.
        ask(
            cloud.endpoint_url,
            "CreateCustomKeyStore",
            {**given, "KeyStorePassword": [secret], "TrustAnchor": {"a": secret}},
        )
        ask(cloud.endpoint_url, "Encrypt", {"KeyId": "k", "Plaintext": {"a": secret}, "Unheard": secret})
        fields = {
            "Action": "AssumeRole",
            "RoleArn": "arn",
            "TokenCode": secret,
            "ExternalId": secret,
            "WebIdentityToken": secret,
        }
        connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
        connection.request("POST", "/", urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
        connection.getresponse().read()
        connection.close()
        calls = get(cloud, "calls")["calls"]
        assert len(calls) == 4
        assert secret not in json.dumps(calls)
        assert calls[0]["parameters"]["CustomKeyStoreName"] == "mine"
        assert calls[0]["parameters"]["KeyStorePassword"] == "<18 characters>"
        assert calls[3]["parameters"] == {"Action": "AssumeRole", "RoleArn": "arn"}

    @pytest.mark.parametrize(
        ("target", "headers", "body", "recorded"),
        [
            ("TrentService.ListKeys", {}, b"{", ("ListKeys", {}, "SerializationException")),
            (
                "TrentService.ListKeys",
                {"Authorization": ""},
                b"{}",
                ("ListKeys", {}, "MissingAuthenticationTokenException"),
            ),
            ("TrentService.ListKeys", {"Authorization": "x"}, b"{}", ("ListKeys", {}, "IncompleteSignatureException")),
            ("TrentService.Nothing", {}, b"{}", ("Nothing", {}, "UnknownOperationException")),
            ("Other.ListKeys", {}, b"{}", ("Other.ListKeys", {}, "UnknownOperationException")),
            (
                "TrentService.Encrypt",
                {},
                b'{"KeyId": "", "Plaintext": "YQ=="}',
                ("Encrypt", {"KeyId": "", "Plaintext": "<1 bytes>"}, "ValidationException"),
            ),
        ],
    )
    def test_what_is_refused_at_the_door_is_recorded_too(
        self, cloud: Cloud, target: str, headers: dict[str, str], body: bytes, recorded: tuple[str, Any, str]
    ) -> None:
        connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
        connection.request("POST", "/", body, {"Authorization": SIGNED, "X-Amz-Target": target, **headers})
        connection.getresponse().read()
        connection.close()
        [call] = cloud.sim.calls
        assert (call.operation, call.parameters, call.result) == recorded

    @pytest.mark.parametrize("fault", [{"error": "KMSInternalException"}, {"drop": "before"}])
    def test_a_call_that_a_fault_strikes_is_recorded_with_what_it_asked_for(
        self, cloud: Cloud, fault: dict[str, Any]
    ) -> None:
        cloud.sim.faults.add(operation="DescribeKey", times=1, **fault)
        with pytest.raises((ClientError, ConnectionClosedError)):
            cloud.kms().describe_key(KeyId="mrk-0123")
        assert cloud.sim.calls[0].parameters == {"KeyId": "mrk-0123"}

    def test_a_dropped_call_is_recorded_as_dropped(self, cloud: Cloud) -> None:
        cloud.sim.faults.add(drop="after", times=1)
        with pytest.raises(ConnectionClosedError):
            cloud.key()
        assert cloud.sim.calls[-1].result == "dropped"
