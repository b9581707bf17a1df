"""The stock aws command and openssl drive the whole flow, with no code of ours on the client's side."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sim_cloud import PRIMARY, REPLICA

from orchestrator.simulator import Simulator, serve

AWS = Path(sys.executable).with_name("aws")
OPENSSL = shutil.which("openssl")


class Shell:
    """A person at a terminal."""

    def __init__(self, endpoint_url: str, directory: Path) -> None:
        self._directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": "111122223333",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self._directory, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def aws(self, region: str, operation: str, *flags: str) -> Any:
        out = self.run(str(AWS), "kms", operation, "--region", region, "--output", "json", *flags)
        return json.loads(out) if out else None

    def bring(self, region: str, key: str, material: str, *flags: str) -> str:
        """Fetch parameters, wrap with openssl as AWS's manual says, import; return the material's id."""
        given = self.aws(
            region,
            "get-parameters-for-import",
            *("--key-id", key, "--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_2048"),
        )
        (self._directory / "wrap.der").write_bytes(base64.b64decode(given["PublicKey"]))
        (self._directory / "token.bin").write_bytes(base64.b64decode(given["ImportToken"]))
        wrap = "pkeyutl -encrypt -inkey wrap.der -keyform DER -pubin -out enc.bin"
        padding = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
        self.run(str(OPENSSL), *wrap.split(), *padding.split(), "-in", material)
        blobs = ("--encrypted-key-material", "fileb://enc.bin", "--import-token", "fileb://token.bin")
        never = ("--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")
        return str(self.aws(region, "import-key-material", "--key-id", key, *blobs, *never, *flags)["KeyMaterialId"])


@pytest.mark.e2e
def test_the_stock_command_rotates_a_multi_region_key(tmp_path: Path) -> None:
    assert AWS.exists(), "awscli belongs to the development dependencies"
    assert OPENSSL, "openssl is needed to wrap material outside"
    new, existing = ("--import-type", "NEW_KEY_MATERIAL"), ("--import-type", "EXISTING_KEY_MATERIAL")
    (tmp_path / "first").write_bytes(os.urandom(32))
    (tmp_path / "second").write_bytes(os.urandom(32))
    with serve(Simulator(lag="instant")) as served:
        shell = Shell(served.endpoint_url, tmp_path)
        made = shell.aws(PRIMARY, "create-key", "--origin", "EXTERNAL", "--multi-region")
        key = made["KeyMetadata"]["KeyId"]
        shell.bring(PRIMARY, key, "first", *new)
        shell.aws(PRIMARY, "replicate-key", "--key-id", key, "--replica-region", REPLICA)
        shell.bring(REPLICA, key, "first", *existing)
        second = shell.bring(PRIMARY, key, "second", *new)
        assert shell.bring(REPLICA, key, "second", *existing, "--key-material-id", second) == second
        shell.aws(PRIMARY, "rotate-key-on-demand", "--key-id", key)
        listed = shell.aws(REPLICA, "list-key-rotations", "--key-id", key, "--include-key-material", "ALL_KEY_MATERIAL")
        assert [row["KeyMaterialState"] for row in listed["Rotations"]] == ["NON_CURRENT", "CURRENT"]
        assert listed["Rotations"][1]["KeyMaterialId"] == second
        described = shell.aws(REPLICA, "describe-key", "--key-id", key)["KeyMetadata"]
        assert (described["KeyState"], described["CurrentKeyMaterialId"]) == ("Enabled", second)


@pytest.mark.e2e
def test_the_stock_command_makes_and_retires_a_grant_and_asks_for_aws_s_own_key(tmp_path: Path) -> None:
    sim = Simulator(lag="instant")
    key = sim.call("CreateKey", PRIMARY, "111122223333", {})["KeyMetadata"]["KeyId"]
    with serve(sim) as served:
        shell = Shell(served.endpoint_url, tmp_path)
        grantee = ("--grantee-principal", "arn:aws:iam::444455556666:role/reader")
        terms = ("--operations", "Decrypt", "--constraints", "EncryptionContextSubset={Department=IT}")
        made = shell.aws(PRIMARY, "create-grant", "--key-id", key, *grantee, *terms)
        (listed,) = shell.aws(PRIMARY, "list-grants", "--key-id", key)["Grants"]
        assert listed["GrantId"] == made["GrantId"]
        assert listed["Constraints"] == {"EncryptionContextSubset": {"Department": "IT"}}
        assert shell.aws(PRIMARY, "retire-grant", "--grant-token", made["GrantToken"]) is None
        assert sim.key(PRIMARY, key).grants == ()  # type: ignore[union-attr]
        own = shell.aws(PRIMARY, "describe-key", "--key-id", "alias/aws/s3")["KeyMetadata"]
        assert (own["KeyManager"], own["KeyState"]) == ("AWS", "Enabled")
