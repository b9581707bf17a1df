"""Wrapping keys: what is wrapped for one key in one Region opens nowhere else."""

import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sim_cloud import PRIMARY, REPLICA, THIRD, Cloud, bytes_of, refusal

FIRST = bytes_of("first")
NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def public_key(cloud: Cloud, key: str, region: str = PRIMARY, spec: str = "RSA_2048") -> bytes:
    return cloud.kms(region).get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec=spec
    )["PublicKey"]


@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_3072"])
def test_every_key_has_a_wrapping_key_of_its_own_in_every_region(cloud: Cloud, spec: str) -> None:
    regions = (PRIMARY, REPLICA, THIRD, "eu-west-1", "eu-central-1")
    keys = [cloud.set_of(*regions[1:]), cloud.set_of(*regions[1:])]
    given = {(key, region): public_key(cloud, key, region, spec) for key in keys for region in regions}
    assert len(set(given.values())) == len(given)
    sizes = {load_der_public_key(one).key_size for one in given.values()}  # type: ignore[union-attr]
    assert sizes == {int(spec.removeprefix("RSA_"))}
    assert all(public_key(cloud, *whose, spec) == one for whose, one in given.items())


def test_a_blob_wrapped_for_one_region_does_not_open_in_another(cloud: Cloud) -> None:
    """Even with the other Region's own token."""
    regions = (PRIMARY, REPLICA, THIRD)
    key = cloud.set_of(REPLICA, THIRD, content=FIRST)
    wrapped = {region: cloud.wrap(region, key, FIRST) for region in regions}
    for here, there in itertools.permutations(regions, 2):
        mixed: dict[str, Any] = {**wrapped[here], "EncryptedKeyMaterial": wrapped[there]["EncryptedKeyMaterial"]}
        told = refusal(cloud.kms(here).import_key_material, KeyId=key, **NEVER, **mixed)
        assert told == ("InvalidCiphertextException", "")


def test_a_blob_wrapped_for_one_key_does_not_open_for_another(cloud: Cloud) -> None:
    one, two = cloud.ready_key(FIRST), cloud.ready_key(FIRST)
    mixed = {
        **cloud.wrap(PRIMARY, one, FIRST),
        "EncryptedKeyMaterial": cloud.wrap(PRIMARY, two, FIRST)["EncryptedKeyMaterial"],
    }
    told = refusal(cloud.kms().import_key_material, KeyId=one, **NEVER, **mixed)
    assert told == ("InvalidCiphertextException", "")


def test_an_older_pair_stays_good_after_a_new_one_is_fetched(cloud: Cloud) -> None:
    """Recorded: imports:initial_import_old_token, new_token_existing_material."""
    key = cloud.ready_key(FIRST)
    older = cloud.wrap(PRIMARY, key, FIRST)
    public_key(cloud, key, spec="RSA_3072")
    cloud.wrap(PRIMARY, key, FIRST)
    cloud.kms().import_key_material(KeyId=key, **NEVER, **older)
