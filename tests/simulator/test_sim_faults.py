"""Faults, hooks and the record of calls."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, bytes_of, refusal, send

from orchestrator.simulator import Call

FIRST, SECOND = bytes_of("first"), bytes_of("second")


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

    def test_a_dropped_call_is_recorded_as_dropped(self, cloud: Cloud) -> None:
        cloud.sim.faults.add(drop="after", times=1)
        with pytest.raises(ConnectionClosedError):
            cloud.key()
        assert cloud.sim.calls[-1].result == "dropped"
