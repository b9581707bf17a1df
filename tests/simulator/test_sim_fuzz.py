"""Whatever JSON an operation is sent, the answer is one of the service's own, never a failure of the simulator."""

import base64
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cloud import ACCOUNT, PRIMARY, REPLICA

from orchestrator.simulator import ServiceError, Simulator
from orchestrator.simulator.operations import OPERATIONS
from orchestrator.simulator.wire import operation_model

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
BLOBS = st.binary(max_size=80).map(lambda content: base64.b64encode(content).decode())


def likely(shape: Shape, keys: list[str]) -> st.SearchStrategy[Any]:
    """Return values that the model allows, with keys that exist among them."""
    match shape:
        case StructureShape():
            return st.fixed_dictionaries({}, optional={n: likely(m, keys) for n, m in shape.members.items()})
        case ListShape():
            return st.lists(likely(shape.member, keys), max_size=3)
        case MapShape():
            return st.dictionaries(st.text(max_size=5), likely(shape.value, keys), max_size=2)
    if getattr(shape, "enum", []):
        return st.sampled_from(shape.enum)
    if shape.name == "KeyIdType":
        return st.sampled_from([*keys, "alias/a", f"arn:aws:kms:{PRIMARY}:{ACCOUNT}:key/{keys[0]}", "x"])
    if shape.name == "RegionType":
        return st.sampled_from([PRIMARY, REPLICA, "cn-north-1"])
    simple: dict[str, st.SearchStrategy[Any]] = {
        "blob": BLOBS,
        "boolean": st.booleans(),
        "integer": st.integers(0, 400),
        "timestamp": st.floats(0, 4e9),
        "string": st.sampled_from(["alias/a", "default", '{"Statement":[]}', "0" * 64]) | st.text(max_size=9),
    }
    return simple[shape.type_name]


def made_keys(sim: Simulator) -> list[str]:
    kinds = [
        {"MultiRegion": True},
        {"Origin": "EXTERNAL", "MultiRegion": True},
        {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC", "Origin": "EXTERNAL"},
    ]
    return [str(sim.call("CreateKey", PRIMARY, ACCOUNT, kind)["KeyMetadata"]["KeyId"]) for kind in kinds]


# RSA keys take long to make, which is no matter of their input.
QUICK = sorted(OPERATIONS.keys() - {"CreateKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_json_makes_the_simulator_fail(data: st.DataObject) -> None:
    sim = Simulator(lag="instant")
    keys = made_keys(sim)
    sim.call("CreateAlias", PRIMARY, ACCOUNT, {"AliasName": "alias/a", "TargetKeyId": keys[0]})
    for _ in range(12):
        operation = data.draw(st.sampled_from(QUICK))
        shape = operation_model(operation).input_shape
        assert shape is not None
        body = data.draw(likely(shape, keys))
        if data.draw(st.integers(0, 3)) == 0:
            body = {**body, data.draw(st.sampled_from([*shape.members, "Unheard"])): data.draw(JUNK)}
        try:
            sim.call(operation, data.draw(st.sampled_from([PRIMARY, REPLICA])), ACCOUNT, body)
        except ServiceError as error:
            code = error.code
        else:
            code = "ok"
        assert code != "KMSInternalException"
        sim.advance(data.draw(st.sampled_from([0.0, 3600.0, 864000.0])))
