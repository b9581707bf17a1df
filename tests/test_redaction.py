"""Secrets are kept out of texts by their shape and by value, however they are written; everything else stays (I14)."""

import base64
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table

from leaks import told_in
from orchestrator.printable import printable
from orchestrator.redaction import MARK, Redaction
from orchestrator.secret_shapes import secret_in
from orchestrator.secret_sources import learn_surroundings
from orchestrator.written import clean, clean_lines, document

DICE = random.Random("what is secret")  # noqa: S311 - no secret of anybody's
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"


def letters(number: int, of: str) -> str:
    return "".join(DICE.choices(of, k=number))


def pem(kind: PrivateFormat, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    key = rsa.generate_private_key(65537, 2048) if kind is PrivateFormat.TraditionalOpenSSL else None
    return (key or ed25519.Ed25519PrivateKey.generate()).private_bytes(Encoding.PEM, kind, encryption).decode()


AGE = str(pyrage.x25519.Identity.generate())
SHAPES = {
    "age": AGE,
    "age, in lower case": AGE.lower(),
    "age, of tomorrow": f"AGE-SECRET-KEY-PQ-1{letters(58, BECH32)}",
    "age, longer": f"AGE-SECRET-KEY-PQ-1{letters(120, BECH32)}",
    "an age plugin": f"AGE-PLUGIN-YUBIKEY-1{letters(34, BECH32)}",
    "PKCS #8": pem(PrivateFormat.PKCS8),
    "PKCS #8 with a password": pem(PrivateFormat.PKCS8, b"word"),
    "PKCS #1": pem(PrivateFormat.TraditionalOpenSSL),
    "PKCS #1 with a password": pem(PrivateFormat.TraditionalOpenSSL, b"word"),
    "OpenSSH": pem(PrivateFormat.OpenSSH),
}


def ways(secret: str) -> Iterator[str]:
    """Write a secret as errors, documents and terminals do."""
    yield f"the identity {secret} is not there"
    yield f"given: {secret!r}"
    yield f"given: {secret.encode()!r}; more"
    yield json.dumps({"message": f"it is {secret}", "hint": "go on"}, indent=2)
    yield json.dumps(json.dumps([repr(secret)]))
    yield f"{secret!r:.70}… and so on"
    yield wrapped(f"mrk: {secret} in store.identity is no path, and so on and on")
    yield wrapped(f"mrk: {secret} is no path", colour=True)


def wrapped(text: str, *, colour: bool = False) -> str:
    """Break a text over lines as a terminal of 60 columns does, in a table or in colour."""
    shown = io.StringIO()
    console = Console(file=shown, width=60, force_terminal=colour)
    table = Table(box=None)
    table.add_row("us-east-1", text, style="red" if colour else "")
    console.print(table)
    return shown.getvalue()


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_a_key_is_known_by_its_shape_however_it_is_written(secret: str) -> None:
    body = "".join(secret.splitlines()[1:-1]) or secret.rpartition("-1")[2]
    for encoded in (base64.encodebytes, base64.b64encode, base64.urlsafe_b64encode):
        for beginning in ("", "# created: today\n", "ab"):
            shown = encoded(f"{beginning}{secret}".encode()).decode()
            assert secret_in(shown)
            assert not told_in(left := Redaction()(f"there is no file {shown!r}"), [shown])
            assert left.startswith("there is no file '***"), "the words before it stay"

    assert secret_in(secret)
    for text in ways(secret):
        assert told_in(text, [body]), "this test can fail"
        assert not told_in(Redaction()(text), [body]), text


TOKEN = f"FwoGZXIvYXdzE{letters(300, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/')}=="
VALUES = {
    "secret access key": letters(40, "abcdefghijklmnopqrstuvwxyz0123456789+/"),
    "session token": TOKEN,
    "a token that ends in a newline": f"{letters(200, BECH32)}\n",
    "a password of odd letters": "".join(f"{letters(14, BECH32)}{odd}" for odd in "\"'\\ %&+\t\x1bö"),
    "hexadecimal": letters(64, "0123456789abcdef"),
    "JWT": ".".join(base64.urlsafe_b64encode(letters(60, BECH32).encode()).decode() for _ in range(3)),
}


@pytest.mark.parametrize("secret", VALUES.values(), ids=VALUES)
def test_a_secret_of_any_shape_is_known_by_its_value_and_in_parts(secret: str) -> None:
    known = Redaction()
    known.learn([secret])

    more = (quote(secret, safe=""), quote(secret), quote_plus(secret), secret.upper(), secret[3:40], printable(secret))
    for text in (*ways(secret), *more, *(f"header value {part!r}" for part in (secret[:50], secret[-40:]))):
        assert told_in(text, [secret]), "this test can fail"
        assert not told_in(known(text), [secret]), text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://me:word@host/path", "https://***@host/path"),
        ("at http://me:w/o@r:d@localhost:1 now", "at http://***@localhost:1 now"),
        ("pkcs11:token=a?pin-value=1234&x=1", "pkcs11:token=a?pin-value=***&x=1"),
        ("https://h/?password=abc&x=1", "https://h/?password=***&x=1"),
        ("x-amz-security-token:abc\nx-amz-target:b", "x-amz-security-token:***\nx-amz-target:b"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '***'}"),
    ],
)
def test_what_is_named_as_a_secret_is_one(text: str, left: str) -> None:
    assert Redaction()(text) == left


def test_the_words_after_a_secret_stay() -> None:
    assert Redaction()(f"{AGE} is no path\nhint: name one") == f"{MARK} is no path\nhint: name one"
    assert Redaction()(f"{SHAPES['OpenSSH'].strip()} is no path") == f"{MARK} is no path"


def test_what_is_no_secret_stays() -> None:
    """Ids, hashes, ARNs, and every word of the documentation, although a value is known that is none of them."""
    known = Redaction()
    known.learn([*VALUES.values(), "short", "any", "made-up"])
    texts = [path.read_text() for path in (Path(__file__).parents[1] / "docs").rglob("*.md")]
    texts += ["5e3b" * 16, "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "company"]

    assert len(texts) > 10
    for text in texts:
        assert known(text) == text


ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": f"/{letters(39, BECH32)}",
    "AWS_SESSION_TOKEN": letters(90, BECH32),
    "AWS_BEARER_TOKEN_BEDROCK": letters(90, BECH32),
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": letters(90, BECH32),
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": f"/v2/credentials/{letters(36, BECH32)}",
    "MRK_TASK_TOKEN": letters(600, BECH32),
    "HTTPS_PROXY": f"http://me:{letters(20, BECH32)}@proxy:8080",
    "DB_PASSWORD": letters(20, BECH32),
    "GITHUB_TOKEN": letters(40, BECH32),
    "SLACK_API_KEY": letters(40, BECH32),
}
NO_SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:4566/a-long-path",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token-that-is-none",
    "CREDENTIALS_DIRECTORY": "/run/credentials/mrk.service",
    "GOOGLE_APPLICATION_CREDENTIALS": "/var/run/secrets/google.json",
    "SECRETS_BACKEND": "secretsmanager",
    "CREDENTIAL_SOURCE": "environment",
    "MRK_STORE__KMS_KEY": "alias/a-long-alias-of-mrk",
}


def test_the_secrets_of_the_environment_of_arguments_and_of_awss_files_are_known(tmp_path: Path) -> None:
    in_files = [letters(40, BECH32) for _ in range(4)]
    (tmp_path / "credentials").write_text(
        f"[default]\naws_secret_access_key = {in_files[0]}\n[b]\naws_session_token={in_files[1]}\n"
    )
    (tmp_path / "config").write_text(f"[profile c]\n  AWS_SECRET_ACCESS_KEY: {in_files[2]}\n")
    (tmp_path / "token").write_text(f"{in_files[3]}\n")
    known, argument = Redaction(), f"--endpoint-url=https://me:{letters(30, BECH32)}@host"
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }

    learn_surroundings(ENVIRONMENT | NO_SECRETS | files, ["mrk", argument], known)

    for secret in (*ENVIRONMENT.values(), *in_files, argument):
        password = secret.rpartition("//me:")[2].partition("@")[0].removeprefix("/v2/credentials/")
        assert told_in(f"it says {password}", [password])
        assert not told_in(known(f"it says {password}"), [password]), secret
    for value in NO_SECRETS.values():
        assert known(f"it says {value}") == f"it says {value}"


def test_files_of_aws_that_are_none_stop_nothing(tmp_path: Path) -> None:
    """A device without end, a directory, a file that is not there."""
    for path in ("/dev/zero", str(tmp_path), str(tmp_path / "none"), "~nobody/x", "a\0b"):
        learn_surroundings({"AWS_CONFIG_FILE": path, "AWS_WEB_IDENTITY_TOKEN_FILE": path}, [], Redaction())


HARMFUL = {
    "an escape": "\x1b[2J",
    "an escape of one byte": "\x9b2J",
    "a carriage return": "\rmrk: all is well",
    "a backspace": "\b\b\b",
    "right to left": "\u202egnp.exe",
    "an isolate": "\u2066x\u2069",
    "no width": "a\u200bb\ufeff",
    "half a letter": "\udc80\ud800",
    "a line of Unicode's": "a\u2028b\u2029c\x85d",
    "a letter that shows nothing": "\u3164\u115f\ufe0f\U000e0100",
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_what_moves_hides_or_turns_around_is_replaced(text: str) -> None:
    shown = printable(f"before {text} after\nhint: type this")

    assert shown.isprintable()
    assert not set(text) & set(shown) - set("[2Jmrk: alisweg.epnxabcd")
    assert shown.startswith("before ")
    assert document({text: [text, {"a": (text,)}]}) == {clean(text): [clean(text), {"a": [clean(text)]}]}
    shown.encode()


def test_plain_text_of_any_language_stays() -> None:
    for text in ("Schlüssel für Übersee", "鍵", "مفتاح", "clé – “ok”…"):
        assert printable(text) == text
    assert (clean("a\nb"), clean_lines("a\nb\x1b")) == ("a?b", "a\nb?"), "a text of several lines keeps them"
    assert printable("x" * 400, 300) == "x" * 300
