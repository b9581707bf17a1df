"""The bytes on the wire: headers, status and body, asked with nothing but HTTP."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from sim_cloud import ACCOUNT, POLICY, PRIMARY, Cloud, bytes_of

SIGNED = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20270115/{PRIMARY}/kms/aws4_request, SignedHeaders=host, Signature=0"
JSON = "application/x-amz-json-1.1"


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(cloud: Cloud, operation: str, /, **body: Any) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
    headers = {"Authorization": SIGNED, "X-Amz-Target": f"TrentService.{operation}", "Content-Type": JSON}
    try:
        connection.request("POST", "/", json.dumps(body), headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def test_an_answer_is_json_1_1_with_times_in_epoch_seconds(cloud: Cloud) -> None:
    answer = ask(cloud, "CreateKey", Origin="EXTERNAL")
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
    assert len(answer.headers["x-amzn-RequestId"]) == 36
    made = json.loads(answer.body)["KeyMetadata"]
    assert made["CreationDate"] == cloud.clock()
    assert not {"DeletionDate", "ValidTo", "CurrentKeyMaterialId", "MultiRegionConfiguration"} & made.keys()


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("DisableKey", {}),
        ("EnableKey", {}),
        ("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("UntagResource", {"TagKeys": ["a"]}),
        ("UpdateKeyDescription", {"Description": "d"}),
        ("PutKeyPolicy", {"Policy": POLICY}),
        ("UpdatePrimaryRegion", {"PrimaryRegion": PRIMARY}),
    ],
)
def test_an_operation_that_tells_nothing_answers_with_no_body(
    cloud: Cloud, operation: str, given: dict[str, Any]
) -> None:
    key = cloud.ready_key(MultiRegion=True)
    answer = ask(cloud, operation, KeyId=key, **given)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert answer.headers["x-amzn-RequestId"]


def test_a_refusal_is_400_with_type_and_message(cloud: Cloud) -> None:
    answer = ask(cloud, "DescribeKey", KeyId="none")
    assert (answer.status, answer.headers["Content-Type"]) == (400, JSON)
    assert json.loads(answer.body) == {"__type": "NotFoundException", "message": "Invalid keyId 'none'"}
    assert answer.headers["x-amzn-RequestId"]


def test_a_refusal_without_words_has_no_message(cloud: Cloud) -> None:
    """Recorded: an SDK reads the message of these as empty."""
    answer = ask(cloud, "Decrypt", CiphertextBlob="AAAA")
    assert (answer.status, json.loads(answer.body)) == (400, {"__type": "InvalidCiphertextException"})


@pytest.mark.parametrize("text", ["\ud800", "a\ud83d"])
def test_half_a_surrogate_pair_is_no_text(cloud: Cloud, text: str) -> None:
    key = cloud.ready_key()
    for operation, given in (
        ("CreateKey", {"Description": text}),
        ("Encrypt", {"KeyId": key, "Plaintext": "AAAA", "EncryptionContext": {text: "v"}}),
    ):
        answer = ask(cloud, operation, **given)
        assert (answer.status, json.loads(answer.body)["__type"]) == (400, "SerializationException")
    assert ask(cloud, "CreateKey", Description="\U0001f511").status == 200


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("KMSInternalException", 500),
        ("DependencyTimeoutException", 500),
        ("KeyUnavailableException", 500),
        ("InternalFailure", 500),
        ("ServiceUnavailableException", 503),
        ("NotFoundException", 400),
        ("AccessDeniedException", 400),
        ("LimitExceededException", 400),
    ],
)
def test_every_code_has_the_documented_status(cloud: Cloud, code: str, status: int) -> None:
    cloud.sim.faults.add(error=code)
    assert ask(cloud, "ListKeys").status == status


def test_rows_of_a_set_as_they_are_sent(cloud: Cloud) -> None:
    key = cloud.ready_key(bytes_of("first"), MultiRegion=True)
    cloud.new(key, bytes_of("second"), ValidTo=cloud.clock() + 60)
    body = json.loads(ask(cloud, "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL").body)
    assert body.keys() == {"Rotations", "Truncated"}
    first, second = body["Rotations"]
    assert first.keys() == {"KeyId", "KeyMaterialId", "ImportState", "KeyMaterialState", "ExpirationModel"}
    assert second.keys() == {*first.keys(), "ValidTo"}
    assert second["ValidTo"] == cloud.clock() + 60
