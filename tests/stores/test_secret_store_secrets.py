"""I2: known key material is looked for in all that a secretsmanager: store, and the SDK below it, tell and raise."""

import io
import logging
import pickle
from collections.abc import Callable, Iterator

import boto3
import pytest
from secret_search import everything
from store_kit import FIRST, MATERIAL_A, NEXT, NOW, OAEP, Bytes, SecretStand, WrappingKey

from leaks import found_in
from orchestrator.errors import MrkError
from orchestrator.model import EntryName
from orchestrator.stores.secretsmanager.address import token
from orchestrator.stores.secretsmanager.hidden import Hidden

KNOWN = Bytes().nth(0)
FAULTS = ["denied", "throttled", "internal", "decryption", "lost", "cut", "garbage", "lag", "exceeded"]
OPERATIONS = ["CreateSecret", "GetSecretValue", "BatchGetSecretValue", "DescribeSecret"]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that any logger says at level debug, with and without boto3's own way to switch that on."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    boto3.set_stream_logger("", logging.DEBUG, "%(message)s")
    own = root.handlers[-1]
    assert isinstance(own, logging.StreamHandler)
    own.setStream(stream)
    yield stream
    root.removeHandler(own)
    root.removeHandler(handler)
    root.setLevel(before)


def live(stand: SecretStand, wrapping_key: WrappingKey) -> None:
    """Call everything that a store has, with known material."""
    store = stand.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    store.keep_probe(FIRST, b"ciphertext")
    store.mark_proven(FIRST, {"regions": ["us-east-1"], "proof": "full"})
    store.look([FIRST, NEXT])
    store.discard(FIRST, NOW)
    store.reinstate(FIRST, NOW)
    store.wrap(FIRST, wrapping_key.public, OAEP)
    store.entries()


def test_nothing_is_logged_or_printed_at_level_debug_that_holds_the_material(
    secrets: SecretStand, wrapping_key: WrappingKey, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """The SDK logs the bodies of requests and answers; of these calls it logs nothing."""
    live(secrets, wrapping_key)
    assert any(found_in(body, [KNOWN]) for body in secrets.server.bodies())
    assert not found_in(logged.getvalue(), [KNOWN])
    assert not found_in("".join(capfd.readouterr()), [KNOWN])


def test_the_search_of_the_logs_finds_what_the_sdk_says_of_other_calls(
    secrets: SecretStand, logged: io.StringIO
) -> None:
    """The test above can fail; and other users of the SDK keep their logs, in this thread, too."""
    secrets.init().deposit(FIRST)
    secrets.client().create_secret(Name="other", SecretString=KNOWN.hex())
    assert found_in(logged.getvalue(), [KNOWN])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", FAULTS)
def test_no_fault_of_the_service_raises_or_logs_the_material(
    secrets: SecretStand, logged: io.StringIO, operation: str, kind: str
) -> None:
    """Neither the error, nor its causes, nor the local variables that a verbose log would show."""
    store = secrets.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(NEXT)
    secrets.server.faults({"operation": operation, "kind": kind})
    for ask in (store.deposit, store.find, lambda name: store.wrap(name, b"", OAEP)):
        for name in (FIRST, NEXT):
            assert not found_in(outcome(ask, name), [KNOWN])
    assert not found_in(logged.getvalue(), [KNOWN])


def outcome(ask: Callable[[EntryName], object], name: EntryName) -> bytes:
    """All that can be seen of what came of a call."""
    try:
        return repr(ask(name)).encode()
    except MrkError as error:
        return everything(error)


CHANGES = {
    "of another attempt": lambda text: text.replace('"attempt": 1', '"attempt": 7'),
    "of another format": lambda text: text.replace("mrk-key-material", "x"),
    "with an armour that breaks off": lambda text: text.replace("=", ""),
    "no JSON": lambda text: text[:-4],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_error_over_an_entry_that_was_made_elsewhere_holds_the_material(
    secrets: SecretStand, wrapping_key: WrappingKey, change: object
) -> None:
    assert callable(change)
    store = secrets.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    text = secrets.client().get_secret_value(SecretId=secrets.secret())["SecretString"]
    secrets.client().delete_secret(SecretId=secrets.secret(), ForceDeleteWithoutRecovery=True)
    secrets.client().create_secret(
        Name=secrets.secret(), SecretString=change(text), ClientRequestToken=token(secrets.secret())
    )
    for ask in (store.deposit, lambda name: store.wrap(name, wrapping_key.public, OAEP)):
        with pytest.raises(MrkError) as caught:
            ask(FIRST)
        assert not found_in(everything(caught.value), [KNOWN])
    assert not found_in(repr(store.find(FIRST)), [KNOWN])


def test_no_representation_of_anything_a_store_is_made_of_holds_the_material(secrets: SecretStand) -> None:
    store = secrets.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    parts = [store, *vars(store).values()]
    parts += [value for part in parts if hasattr(part, "__dict__") for value in vars(part).values()]
    assert len(parts) > 10
    for part in parts:
        assert not found_in(repr(part), [KNOWN])


def test_hidden_text_hides_itself_and_is_not_pickled() -> None:
    hidden = Hidden(KNOWN.hex())
    assert f"{hidden} {hidden!r}" == "Hidden Hidden"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(hidden)
