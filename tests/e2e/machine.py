"""A machine for end-to-end tests: real processes of mrk, age and aws against a simulator over HTTP, in real time."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyrage
import yaml

from nursery import nursery
from orchestrator.ports import WrappingAlgorithm
from orchestrator.simulator import Simulator
from orchestrator.wrapping import wrap

BIN = Path(sys.executable).parent
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


@dataclass
class Past:
    """The simulator's clock: real time, less as many days as a test wants things to have been long ago."""

    days: float = 0

    def __call__(self) -> float:
        return time.time() - self.days * 86_400


@dataclass
class Machine:
    """One directory with a config, an identity and a store, and the commands run in it."""

    directory: Path
    endpoint_url: str
    simulator: Simulator
    past: Past
    keys: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    given: dict[str, str] = field(default_factory=dict)
    account: str = "111122223333"

    def __post_init__(self) -> None:
        self.identities = [self._identity("identity.txt"), self._identity("recovery.txt")]
        self.write_config()

    def _identity(self, name: str) -> str:
        identity = pyrage.x25519.Identity.generate()
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(f"{identity}\n")
        return str(identity.to_public())

    def write_config(self, **keys: Any) -> None:
        """Write config.yaml; `keys` are added to the ones that are there."""
        self.keys |= keys
        config = {
            "store": {
                "uri": f"file:{self.directory / 'store'}",
                "recipients": self.identities,
                "identity": str(self.directory / "identity.txt"),
                "volatile": "allow",
            },
            "defaults": {"proof": "full"},
            "keys": self.keys,
            "run": {"poll": "200ms", "looks": 2, "deadline": "60s"},
            "aws": {"endpoint_url": self.endpoint_url},
        } | self.more
        (self.directory / "config.yaml").write_text(yaml.safe_dump(config))

    @property
    def environment(self) -> dict[str, str]:
        """What the processes see: made-up credentials, and nothing of this machine's."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        made_up = {
            "AWS_ACCESS_KEY_ID": "111122223333",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_DEFAULT_REGION": REGIONS[0],
            "AWS_ENDPOINT_URL_KMS": self.endpoint_url,
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.directory / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-aws-credentials"),
        }
        seen = kept | coverage | made_up | self.given
        return {name: value for name, value in seen.items() if name not in self.without}

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command of the virtual environment, or of the machine."""
        program = BIN / command[0]
        line = [str(program) if program.exists() else command[0], *command[1:]]
        return subprocess.Popen(
            line,
            cwd=self.directory,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command to its end, and return what it printed; any other exit code fails the test.

        `mrk` is forked from a process that is ready; `start` starts the installed command.
        """
        program, *words = command
        ready = program == "mrk"
        process = nursery().start(words, self.directory, self.environment) if ready else self.start(*command)
        out, err = process.communicate(timeout=100)
        assert process.returncode == code, f"{command} ended with {process.returncode}:\n{out}\n{err}"
        return out

    def json(self, *command: str, code: int = 0) -> Any:
        return json.loads(self.run(*command, code=code))

    def aws(self, *command: str, region: str = REGIONS[0]) -> Any:
        """Run the stock aws command for KMS."""
        printed = self.run("aws", "kms", *command, "--region", region, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    def make_key(self, regions: Sequence[str] = REGIONS, name: str = "payments") -> tuple[str, Path]:
        """Make a multi-Region key as its owner would: by the aws command and openssl; return its ARN and the file."""
        arn = self.aws("create-key", "--origin", "EXTERNAL", "--multi-region")["KeyMetadata"]["Arn"]
        material = self.directory / f"{name}.bin"
        self.run("openssl", "rand", "-out", str(material), "32")
        self.import_by_hand(arn, material, "NEW_KEY_MATERIAL")
        for region in regions[1:]:
            self.aws("replicate-key", "--key-id", arn, "--replica-region", region)
            self.import_by_hand(arn.replace(regions[0], region), material, "EXISTING_KEY_MATERIAL", region)
        self.write_config(**{name: {"arn": arn, "regions": list(regions), "rotate_every": "90d"}})
        return arn, material

    def make_key_quickly(
        self, regions: Sequence[str] = REGIONS, name: str = "payments", minutes: float = 0
    ) -> tuple[str, Path]:
        """Make the same key in this process, for tests that are about something else.

        After each change so many minutes pass, as reads may lag.
        """
        client, day = self.client(regions[0]), 24 * 60
        arn = client.create_key(Origin="EXTERNAL", MultiRegion=len(regions) > 1)["KeyMetadata"]["Arn"]
        material = self.directory / f"{name}.bin"
        material.write_bytes(os.urandom(32))
        self.past.days -= minutes / day
        self.import_quickly(arn, material, "NEW_KEY_MATERIAL", regions[0])
        for region in regions[1:]:
            self.past.days -= minutes / day
            client.replicate_key(KeyId=arn, ReplicaRegion=region)
            self.past.days -= minutes / day
            self.import_quickly(arn.replace(regions[0], region), material, "EXISTING_KEY_MATERIAL", region)
        self.write_config(**{name: {"arn": arn, "regions": list(regions), "rotate_every": "90d"}})
        return arn, material

    def client(self, region: str = REGIONS[0]) -> Any:
        """The stock boto3 client of a Region, in the account that the keys are made in."""
        credentials = {"aws_access_key_id": self.account, "aws_secret_access_key": "made-up"}
        return boto3.client("kms", region_name=region, endpoint_url=self.endpoint_url, **credentials)

    def import_quickly(self, arn: str, material: Path, kind: str, region: str = REGIONS[0]) -> str:
        """Wrap and import a file in this process."""
        client, algorithm = self.client(region), WrappingAlgorithm.RSAES_OAEP_SHA_256
        asked = {"WrappingAlgorithm": str(algorithm), "WrappingKeySpec": "RSA_4096"}
        parameters = client.get_parameters_for_import(KeyId=arn, **asked)
        answer = client.import_key_material(
            KeyId=arn,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial=wrap(material.read_bytes(), parameters["PublicKey"], algorithm),
            ImportType=kind,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
        return str(answer["KeyMaterialId"])

    def import_by_hand(self, arn: str, material: Path, kind: str, region: str = REGIONS[0]) -> str:
        """Wrap a file with openssl and import it with the aws command; return the id that KMS gives it."""
        import base64  # noqa: PLC0415

        asked = ("--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_4096")
        parameters = self.aws("get-parameters-for-import", "--key-id", arn, *asked, region=region)
        files = {name: self.directory / name for name in ("wrap.der", "token.bin", "wrapped.bin")}
        files["wrap.der"].write_bytes(base64.b64decode(parameters["PublicKey"]))
        files["token.bin"].write_bytes(base64.b64decode(parameters["ImportToken"]))
        padding = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
        options = [word for option in padding for word in ("-pkeyopt", option)]
        where = ["-in", str(material), "-out", str(files["wrapped.bin"]), "-inkey", str(files["wrap.der"])]
        self.run("openssl", "pkeyutl", "-encrypt", *where, "-keyform", "DER", "-pubin", *options)
        answer = self.aws(
            "import-key-material",
            *("--key-id", arn, "--import-type", kind, "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE"),
            *("--encrypted-key-material", f"fileb://{files['wrapped.bin']}"),
            *("--import-token", f"fileb://{files['token.bin']}"),
            region=region,
        )
        return str(answer["KeyMaterialId"])
