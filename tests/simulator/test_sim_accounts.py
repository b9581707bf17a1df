"""Accounts, STS, quotas, aliases, tags and the state file."""

import http.client
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import boto3
import pytest
from sim_cloud import PRIMARY, REPLICA, Cloud, bytes_of, refusal

from orchestrator.simulator import Lag, ServiceError, Simulator, serve
from orchestrator.simulator.quotas import Quotas

OTHER_ACCOUNT = "444455556666"
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential=111122223333/20270115/{PRIMARY}/sts/aws4_request, SignedHeaders=host, Signature=0"
)

NOT_THERE = (
    "this resource because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)


def sts(cloud: Cloud, access_key: str = "111122223333", region: str = PRIMARY) -> Any:
    return boto3.client(
        "sts",
        region_name=region,
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key="x",
    )


class TestAccounts:
    def test_a_12_digit_access_key_is_the_account(self, cloud: Cloud) -> None:
        key = cloud.key()
        made = cloud.kms(account=OTHER_ACCOUNT).create_key()["KeyMetadata"]
        assert made["AWSAccountId"] == OTHER_ACCOUNT
        assert cloud.kms(account="AKIAEXAMPLE").describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"] == "111122223333"
        assert refusal(cloud.kms(account=OTHER_ACCOUNT).describe_key, KeyId=key)[0] == "NotFoundException"
        code, message = refusal(cloud.kms(account=OTHER_ACCOUNT).describe_key, KeyId=cloud.arn(key))
        assert code == "AccessDeniedException"
        assert message == (
            f"User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: kms:DescribeKey on {NOT_THERE}"
        )
        alias = cloud.arn(key).replace(f"key/{key}", "alias/none")
        told = refusal(cloud.kms(account=OTHER_ACCOUNT).encrypt, KeyId=alias, Plaintext=b"x")
        assert told == (code, message.replace("kms:DescribeKey", "kms:Encrypt"))
        blob = cloud.kms().encrypt(KeyId=cloud.ready_key(), Plaintext=b"x")["CiphertextBlob"]
        told = refusal(cloud.kms(account=OTHER_ACCOUNT).decrypt, CiphertextBlob=blob)
        ciphertext = message.replace("kms:DescribeKey", "kms:Decrypt")
        of_it = ciphertext.replace("on this resource", "on the resource associated with this ciphertext")
        assert told == (code, of_it)
        assert [k["KeyId"] for k in cloud.kms(account=OTHER_ACCOUNT).list_keys()["Keys"]] == [made["KeyId"]]

    def test_an_assumed_role_works_in_its_own_account(self, cloud: Cloud) -> None:
        role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/path/rotator"
        given = sts(cloud).assume_role(RoleArn=role, RoleSessionName="run-1", DurationSeconds=900)
        credentials = given["Credentials"]
        assert given["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/rotator/run-1"
        assert credentials["Expiration"].timestamp() == cloud.clock() + 900
        who = sts(cloud, credentials["AccessKeyId"]).get_caller_identity()
        assert (who["Account"], who["Arn"]) == (OTHER_ACCOUNT, given["AssumedRoleUser"]["Arn"])
        kms = boto3.client(
            "kms",
            region_name=PRIMARY,
            endpoint_url=cloud.endpoint_url,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        assert kms.create_key()["KeyMetadata"]["AWSAccountId"] == OTHER_ACCOUNT
        key = cloud.key()
        assert refusal(kms.describe_key, KeyId=cloud.arn(key)) == (
            "AccessDeniedException",
            (f"User: {who['Arn']} is not authorized to perform: kms:DescribeKey on {NOT_THERE}"),
        )

    def test_callers_are_told_who_they_are(self, cloud: Cloud) -> None:
        who = sts(cloud, OTHER_ACCOUNT).get_caller_identity()
        assert (who["Account"], who["Arn"]) == (OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root")
        assert refusal(sts(cloud).assume_role, RoleArn="a" * 20, RoleSessionName="run")[0] == "ValidationError"
        assert refusal(sts(cloud).get_session_token)[0] == "NotSimulatedException"

    @pytest.mark.parametrize(
        ("header", "fields", "status", "code"),
        [
            (None, {}, 400, "MissingAction"),
            ("garbage", {"Action": "GetCallerIdentity"}, 403, "IncompleteSignature"),
            (SIGNED.replace("/sts/", "/kms/"), {"Action": "GetCallerIdentity"}, 403, "SignatureDoesNotMatch"),
            (None, {"Action": "GetSessionToken"}, 501, "NotSimulatedException"),
        ],
    )
    def test_a_request_that_sts_refuses(
        self, cloud: Cloud, header: str | None, fields: dict[str, str], status: int, code: str
    ) -> None:
        connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Authorization": header} if header else {})
        connection.request("POST", "/", urlencode(fields), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert (answer.status, f"<Code>{code}</Code>" in text) == (status, True)
        assert cloud.sim.calls[-1].result == code

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"RoleSessionName": "a b"}, "Value 'a b' at 'roleSessionName' failed to satisfy constraint: "),
            ({"RoleSessionName": "\x00\x01"}, "1 validation error detected: "),
            ({"DurationSeconds": "899"}, "Member must have value greater than or equal to 900"),
            ({"DurationSeconds": "43201"}, "Member must have value less than or equal to 43200"),
            ({"DurationSeconds": "\u00b2"}, "DurationSeconds is not a number"),
            ({"DurationSeconds": "9" * 5000}, "DurationSeconds is not a number"),
            ({"RoleArn": "x"}, "Value 'x' at 'roleArn' failed"),
            ({"RoleArn": "arn:aws:iam::1:role/a\x00b"}, "1 validation error detected: "),
            ({"RoleArn": "arn:aws:iam::44445555:role/x"}, "arn:aws:iam::44445555:role/x is invalid"),
        ],
    )
    def test_a_role_that_cannot_be_assumed(self, cloud: Cloud, given: dict[str, str], message: str) -> None:
        fields = {"RoleArn": f"arn:aws:iam::{OTHER_ACCOUNT}:role/rotator", "RoleSessionName": "run", **given}
        body = urlencode({"Action": "AssumeRole", "Version": "2011-06-15", **fields}).encode()
        connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
        connection.request("POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        assert (answer.status, len(answer.headers["x-amzn-RequestId"])) == (400, 36)
        error = ET.fromstring(answer.read())  # noqa: S314 - our own server's
        connection.close()
        space = "{https://sts.amazonaws.com/doc/2011-06-15/}"
        assert error.findtext(f"{space}Error/{space}Code") == "ValidationError"
        assert message in str(error.findtext(f"{space}Error/{space}Message"))


class TestKeyIds:
    @pytest.mark.parametrize("name", ["fake-key-id", "134f2428cec14b25a1ae9048164dba47", "mrk-fake-key-id"])
    def test_what_reads_as_no_key_id(self, cloud: Cloud, name: str) -> None:
        """Recorded by others: test_get_key_invalid_uuid."""
        assert refusal(cloud.kms().describe_key, KeyId=name) == ("NotFoundException", f"Invalid keyId '{name}'")

    def test_a_key_of_another_region(self, cloud: Cloud) -> None:
        """Recorded by others: test_get_key_in_different_region."""
        key = cloud.key()
        expected = ("NotFoundException", f"Key '{cloud.arn(key, REPLICA)}' does not exist")
        assert refusal(cloud.kms(REPLICA).describe_key, KeyId=key) == expected
        assert refusal(cloud.kms(REPLICA).describe_key, KeyId=cloud.arn(key)) == (
            "NotFoundException",
            f"Invalid arn {PRIMARY}",
        )

    def test_an_alias_of_an_alias_or_of_awss_own_is_refused(self, cloud: Cloud) -> None:
        key = cloud.key()
        cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=key)
        refused = refusal(cloud.kms().create_alias, AliasName="alias/b", TargetKeyId="alias/a")
        assert refused[0] == "ValidationException"
        refused = refusal(cloud.kms().create_alias, AliasName="alias/aws/b", TargetKeyId=key)
        assert refused[0] == "NotAuthorizedException"

    def test_aliases_name_keys_where_they_may(self, cloud: Cloud) -> None:
        one, two = cloud.ready_key(), cloud.ready_key(bytes_of("two"))
        kms = cloud.kms()
        kms.create_alias(AliasName="alias/a", TargetKeyId=one)
        arn = cloud.arn(one).replace(f"key/{one}", "alias/a")
        assert refusal(kms.create_alias, AliasName="alias/a", TargetKeyId=two) == (
            "AlreadyExistsException",
            f"An alias with the name {arn} already exists",
        )
        for name in ("alias/a", arn):
            assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == one
            assert kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] == cloud.arn(one)
        kms.update_alias(AliasName="alias/a", TargetKeyId=cloud.arn(two))
        assert kms.describe_key(KeyId="alias/a")["KeyMetadata"]["KeyId"] == two
        kms.create_alias(AliasName="alias/b", TargetKeyId=one)
        pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 1})
        listed = [alias["AliasName"] for page in pages for alias in page["Aliases"]]
        assert [name for name in listed if not name.startswith("alias/aws/")] == ["alias/a", "alias/b"]
        assert [alias["AliasName"] for alias in kms.list_aliases(KeyId=two)["Aliases"]] == ["alias/a"]
        kms.delete_alias(AliasName="alias/a")
        expected = ("NotFoundException", f"Alias {arn} is not found.")
        for call in (kms.delete_alias, lambda AliasName: kms.describe_key(KeyId=AliasName)):  # noqa: N803
            assert refusal(call, AliasName="alias/a") == expected
        assert refusal(kms.create_alias, AliasName="a", TargetKeyId=one) == (
            "ValidationException",
            (
                'Alias must start with the prefix "alias/". '
                "Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
            ),
        )

    def test_an_alias_stays_with_one_kind_of_key(self, cloud: Cloud) -> None:
        """Documented: the current and the new key have the same type and usage; the text is not recorded."""
        one = cloud.ready_key()
        pair = {"Origin": "AWS_KMS", "KeySpec": "ECC_NIST_P256"}
        signer, agreer = (cloud.key(**pair, KeyUsage=usage) for usage in ("SIGN_VERIFY", "KEY_AGREEMENT"))
        other = cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")
        kms = cloud.kms()
        kms.create_alias(AliasName="alias/a", TargetKeyId=one)
        kms.create_alias(AliasName="alias/b", TargetKeyId=signer)
        assert refusal(kms.update_alias, AliasName="alias/a", TargetKeyId=signer)[0] == "ValidationException"
        assert refusal(kms.update_alias, AliasName="alias/b", TargetKeyId=agreer)[0] == "ValidationException"
        kms.update_alias(AliasName="alias/b", TargetKeyId=other)
        named = {alias["AliasName"]: alias["TargetKeyId"] for alias in cloud.aliases()}
        assert named == {"alias/a": one, "alias/b": other}

    def test_a_page_of_aliases_has_a_hundred_at_most(self, cloud: Cloud) -> None:
        key = cloud.key()
        for number in range(101):
            cloud.sim.call("CreateAlias", PRIMARY, "111122223333", {"AliasName": f"alias/{number}", "TargetKeyId": key})
        assert len(cloud.kms().list_aliases()["Aliases"]) == 50
        page = cloud.kms().list_aliases(Limit=1000)
        assert (len(page["Aliases"]), page["Truncated"]) == (100, True)
        rest = cloud.kms().list_aliases(Marker=page["NextMarker"])["Aliases"]
        named = [alias["AliasName"] for alias in page["Aliases"] + rest]
        assert len([name for name in named if not name.startswith("alias/aws/")]) == 101
        assert named == sorted(set(named))


class TestRegions:
    @pytest.mark.parametrize("region", ["zz-no-1", "us-east-9", "US-EAST-1"])
    def test_a_region_that_aws_does_not_have_is_refused_for_every_call(self, cloud: Cloud, region: str) -> None:
        expected = (
            "InvalidSignatureException",
            f"Credential should be scoped to a valid region, not '{region}'.",
        )
        kms = cloud.kms(region)
        assert refusal(kms.create_key) == expected
        assert refusal(kms.list_keys) == expected
        assert refusal(kms.describe_key, KeyId=cloud.key()) == expected
        assert refusal(sts(cloud, region=region).get_caller_identity) == expected
        assert [call.result for call in cloud.sim.calls][-1] == "InvalidSignatureException"

    @pytest.mark.parametrize(
        ("region", "partition"),
        [
            ("ap-east-2", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
        ],
    )
    def test_every_partition_has_its_own_arns(self, cloud: Cloud, region: str, partition: str) -> None:
        key = cloud.key(region, MultiRegion=True)
        assert cloud.describe(key, region)["Arn"] == f"arn:{partition}:kms:{region}:111122223333:key/{key}"
        cloud.new(key, bytes_of("first"), region)
        other = "us-gov-east-1" if region != "us-gov-west-1" else "us-west-2"
        assert refusal(cloud.kms(region).replicate_key, KeyId=key, ReplicaRegion=other) == (
            "ValidationException",
            "The replica key Region must be in the same AWS partition as the primary key Region.",
        )


class TestTags:
    def test_tags_are_added_changed_and_removed(self, cloud: Cloud) -> None:
        """Recorded by others: test_update_and_add_tags_on_tagged_key, test_untag_key_partially."""
        kms = cloud.kms()
        key = cloud.key(Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "3"}, {"TagKey": "c", "TagValue": ""}])
        kms.untag_resource(KeyId=key, TagKeys=["a", "never"])
        answer = kms.list_resource_tags(KeyId=key)
        assert answer["Tags"] == [{"TagKey": "b", "TagValue": "3"}, {"TagKey": "c", "TagValue": ""}]
        assert answer["Truncated"] is False

    @pytest.mark.parametrize(
        ("tags", "message"),
        [
            ([("a", "1"), ("a", "2")], "Duplicate tag keys"),
            ([("aws:a", "1")], "Tags beginning with aws: are reserved"),
            ([("AWS:a", "1")], "Tags beginning with aws: are reserved"),
            ([(f"t{number}", "") for number in range(51)], "Too many tags"),
        ],
    )
    def test_tags_that_are_refused(self, cloud: Cloud, tags: list[tuple[str, str]], message: str) -> None:
        given = [{"TagKey": key, "TagValue": value} for key, value in tags]
        key = cloud.key()
        assert refusal(cloud.kms().tag_resource, KeyId=key, Tags=given) == ("TagException", message)
        assert refusal(cloud.kms().create_key, Tags=given) == ("TagException", message)


class TestQuotas:
    def test_rates_are_per_account_region_and_operation(self, make_cloud: Callable[..., Cloud]) -> None:
        cloud = make_cloud(quotas=1.0)
        key = cloud.key()
        asked = {"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        cloud.kms().get_parameters_for_import(**asked)
        assert refusal(cloud.kms().get_parameters_for_import, **asked) == (
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        )
        cloud.describe(key)
        cloud.clock.advance(1)
        cloud.kms().get_parameters_for_import(**asked)

    def test_a_factor_scales_them(self, make_cloud: Callable[..., Cloud]) -> None:
        cloud = make_cloud(quotas=2.0)
        for _ in range(10):
            cloud.key()
        assert refusal(cloud.kms().create_key)[0] == "ThrottlingException"
        cloud.kms(account=OTHER_ACCOUNT).create_key()
        cloud.kms(REPLICA).create_key()

    def test_some_operations_cost_something_in_a_second_region(self, make_cloud: Callable[..., Cloud]) -> None:
        cloud = make_cloud(quotas=1.0)
        key = cloud.kms().create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        for _ in range(3):
            cloud.kms(REPLICA).create_key()
        assert refusal(cloud.kms(REPLICA).create_key)[0] == "ThrottlingException"
        for _ in range(4):
            cloud.kms().create_key()
        assert refusal(cloud.kms().create_key)[0] == "ThrottlingException"

    def test_cryptographic_operations_share_one_rate(self, make_cloud: Callable[..., Cloud]) -> None:
        cloud = make_cloud(quotas=0.0002)
        kms = cloud.kms("eu-north-1")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.encrypt(KeyId=key, Plaintext=b"x")
        kms.generate_random(NumberOfBytes=1)
        assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "ThrottlingException"

    @pytest.mark.parametrize(("region", "per_second"), [("us-east-1", 100), ("eu-west-2", 20), ("eu-north-1", 10)])
    def test_the_symmetric_rate_is_the_regions(
        self, make_cloud: Callable[..., Cloud], region: str, per_second: int
    ) -> None:
        cloud = make_cloud(quotas=0.001)
        for _ in range(per_second):
            cloud.kms(region).generate_random(NumberOfBytes=1)
        assert refusal(cloud.kms(region).generate_random, NumberOfBytes=1)[0] == "ThrottlingException"

    def test_each_family_of_keys_has_a_rate_of_its_own(self) -> None:
        quotas = Quotas(0.002)
        families: list[tuple[int, list[tuple[str, dict[str, str]]]]] = [
            (
                2,
                [
                    ("Sign", {"SigningAlgorithm": "RSASSA_PSS_SHA_256"}),
                    ("Encrypt", {"EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
                ],
            ),
            (
                2,
                [
                    ("Verify", {"SigningAlgorithm": "ECDSA_SHA_256"}),
                    ("DeriveSharedSecret", {"KeyAgreementAlgorithm": "ECDH"}),
                ],
            ),
            (20, [("GenerateMac", {"MacAlgorithm": "HMAC_SHA_256"}), ("Decrypt", {}), ("GenerateRandom", {})]),
        ]
        for per_second, requests in families:
            for number in range(per_second):
                operation, given = requests[number % len(requests)]
                quotas.charge(operation, "eu-north-1", OTHER_ACCOUNT, given, 0.0)
            for operation, given in requests:
                with pytest.raises(ServiceError, match="ThrottlingException"):
                    quotas.charge(operation, "eu-north-1", OTHER_ACCOUNT, given, 0.0)

    @pytest.mark.parametrize(
        ("region", "spec", "per_second"),
        [
            (PRIMARY, "RSA_2048", 20),
            (PRIMARY, "RSA_3072", 4),
            ("cn-north-1", "RSA_2048", 1),
            (PRIMARY, "ECC_NIST_P384", 100),
        ],
    )
    def test_key_pairs_have_a_rate_by_kind(self, region: str, spec: str, per_second: int) -> None:
        quotas = Quotas(1.0)
        for number in range(per_second):
            operation = "GenerateDataKeyPair" if number % 2 else "GenerateDataKeyPairWithoutPlaintext"
            quotas.charge(operation, region, "111122223333", {"KeyPairSpec": spec}, 0.0)
        with pytest.raises(ServiceError, match="ThrottlingException"):
            quotas.charge("GenerateDataKeyPair", region, "111122223333", {"KeyPairSpec": spec}, 0.0)

    def test_off_means_off(self, cloud: Cloud) -> None:
        for _ in range(20):
            cloud.key()


class TestStateFile:
    def serve_once(self, path: Path, clock: Callable[[], float] | None = None) -> Any:
        return serve(Simulator(clock, lag="instant", state=str(path)))

    def test_keys_survive_a_restart_and_so_do_their_ciphertexts(self, tmp_path: Path, session: boto3.Session) -> None:
        path = tmp_path / "state.json"

        def kms(server: Any, region: str = PRIMARY) -> Any:
            return session.client(
                "kms",
                region_name=region,
                endpoint_url=server.endpoint_url,
                aws_access_key_id="111122223333",
                aws_secret_access_key="x",
            )

        with self.serve_once(path) as server:
            key = kms(server).create_key(MultiRegion=True, Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
            kms(server).create_alias(AliasName="alias/kept", TargetKeyId=key["KeyId"])
            kms(server).replicate_key(KeyId=key["KeyId"], ReplicaRegion=REPLICA)
            kms(server).rotate_key_on_demand(KeyId=key["KeyId"])
            blob = kms(server).encrypt(KeyId="alias/kept", Plaintext=b"kept")["CiphertextBlob"]
            before = kms(server, REPLICA).describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "SIMULATED" in json.loads(path.read_text())["notice"]
        assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
        with self.serve_once(path) as server:
            assert kms(server, REPLICA).describe_key(KeyId=key["KeyId"])["KeyMetadata"] == before
            assert kms(server, REPLICA).decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
            named = {one["AliasName"]: one.get("TargetKeyId") for one in kms(server).list_aliases()["Aliases"]}
            assert named["alias/kept"] == key["KeyId"]

    def test_a_moved_clock_is_kept_too(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        sim = Simulator(state=str(path))
        sim.advance(86400)
        moved = sim.clock()
        sim.call("CreateKey", PRIMARY, OTHER_ACCOUNT, {})
        assert Simulator(state=str(path)).clock() >= moved

    def test_a_stopped_clock_is_kept_and_so_is_one_that_is_behind(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        sim = Simulator(state=str(path))
        sim.move_clock(1000, freeze=True)
        again = Simulator(state=str(path))
        assert again.clock() == again.clock() == sim.clock()
        key = again.call("CreateKey", PRIMARY, OTHER_ACCOUNT, {})["KeyMetadata"]["KeyId"]
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "frozen_at": None, "clock_offset": -5000.0}))
        behind = Simulator(state=str(path))
        assert behind.clock() < sim.clock() - 3000
        assert behind.call("DescribeKey", PRIMARY, OTHER_ACCOUNT, {"KeyId": key})["KeyMetadata"]["KeyId"] == key

    def test_kept_keys_are_no_news_to_reads_that_lag(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        key = Simulator(state=str(path)).call("CreateKey", PRIMARY, OTHER_ACCOUNT, {})["KeyMetadata"]["KeyId"]
        late = Simulator(state=str(path), lag=replace(Lag.instant(), staleness=10, stale_share=1.0))
        late.call("DescribeKey", PRIMARY, OTHER_ACCOUNT, {"KeyId": key})

    @pytest.mark.parametrize("path", ["", "none/state.json"])
    def test_a_place_where_no_file_can_be_is_refused_at_once(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(ValueError, match="is a directory, or in none"):
            Simulator(state=str(tmp_path / path))

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"notice": "something else", "keys": []}', "-----BEGIN"])
    def test_any_other_file_is_refused_and_left_alone(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "precious"
        path.write_text(text)
        with pytest.raises(ValueError, match="not a simulator's state"):
            Simulator(state=str(path))
        assert path.read_text() == text

    @pytest.mark.parametrize(
        ("place", "value", "told"),
        [
            ("clock_offset", True, "clock_offset: Input should be a valid number"),
            ("clock_offset", "1", "clock_offset: Input should be a valid number"),
            ("clock_offset", 1e300, "clock_offset: Input should be less than or equal to"),
            ("clock_offset", -1e300, "clock_offset: Input should be greater than or equal to"),
            ("clock_offset", float("nan"), "clock_offset: Input should be a finite number"),
            ("clock_offset", None, "clock_offset: Input should be a valid number"),
            ("format", 2, "format: Input should be 1"),
            ("keys", {}, "keys: Input should be a valid array"),
            ("keys.0.key_id", 5, "keys.0.key_id: Input should be a valid string"),
            ("keys.0.spec", "ROT13", "ROT13 is not for ENCRYPT_DECRYPT"),
            ("keys.0.primary", "eu-west-1", "a primary without its member"),
            (
                "keys.0.members.us-east-1.created",
                "now",
                "keys.0.members.us-east-1.created: Input should be a valid number",
            ),
            ("keys.0.materials.0.state", "OLD", "keys.0.materials.0.state: Input should be 'CURRENT'"),
            ("keys.0.materials.0.colour", "red", "keys.0.materials.0.colour: Unexpected keyword argument"),
            ("aliases", [["a"]], "aliases.0.1: Field required"),
        ],
    )
    def test_a_damaged_file_is_refused_with_the_place(self, tmp_path: Path, place: str, value: Any, told: str) -> None:
        path = tmp_path / "state.json"
        Simulator(state=str(path)).call("CreateKey", PRIMARY, OTHER_ACCOUNT, {})
        document = json.loads(path.read_text())
        *way, last = place.split(".")
        inner = document
        for step in way:
            inner = inner[int(step)] if step.isdigit() else inner[step]
        inner[last] = value
        path.write_text(json.dumps(document))
        with pytest.raises(ValueError, match="is not a simulator's state") as caught:
            Simulator(state=str(path))
        assert told in str(caught.value)
        assert json.loads(path.read_text()).keys() == document.keys()
