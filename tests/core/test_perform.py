"""What one action does, to KMS and to the store, and what it tells of each failure (I1, I2, I4, P2, P6, P9, P11, P14).

KMS is a small fake here, as `perform` sees it: one Region, with what was sent to it, and failures to give first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from core_building import EU, KEY, NOW, US, A, B, entry, name

from orchestrator.errors import KmsError, StoreError, Trouble
from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    Entry,
    EntryName,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MarkProven,
    MaterialId,
    Outcome,
    ProveRegion,
    Region,
    ReinstateMaterial,
    ReplicateKey,
    Result,
    RotateOnDemand,
)
from orchestrator.parameters import Parameters
from orchestrator.perform import PROBE_CONTEXT, PROBE_TEXT, Perform
from orchestrator.ports import ImportParameters, WrappingAlgorithm
from orchestrator.retry import Retry, RetryPolicy

ALGORITHM = WrappingAlgorithm.RSAES_OAEP_SHA_256
UNTIL = NOW + timedelta(days=300)


def failure(code: str, trouble: Trouble) -> KmsError:
    return KmsError(f"{code} of a call", f"mend {code}", trouble=trouble, code=code)


THROTTLED = failure("ThrottlingException", Trouble.TRANSIENT)
LOST = failure("ReadTimeoutError", Trouble.TRANSIENT)
DENIED = failure("AccessDeniedException", Trouble.PERMANENT)
STALE = failure("InvalidImportTokenException", Trouble.STALE_PARAMETERS)
NOT_NOW = failure("KMSInvalidStateException", Trouble.LOOK_AGAIN)


@dataclass
class Fake:
    """KMS and a store in one: what was done, in order, and what fails first."""

    entries: dict[EntryName, Entry] = field(default_factory=dict)
    material: MaterialId = B
    done: list[tuple[Any, ...]] = field(default_factory=list)
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    text: bytes = PROBE_TEXT
    tokens: int = 0
    region: Region = US

    def at(self, region: Region) -> "Fake":
        self.region = region
        return self

    def _do(self, what: str, *about: Any) -> None:
        if waiting := self.fails.get(what):
            raise waiting.pop(0)
        self.done.append((what, *about))

    # ---- KMS

    def get_parameters_for_import(self, _arn: Any, algorithm: WrappingAlgorithm) -> ImportParameters:
        self.tokens += 1
        return ImportParameters(b"public", f"token {self.tokens}".encode(), algorithm, NOW + timedelta(days=1))

    def import_key_material(
        self, arn: Any, parameters: ImportParameters, wrapped: bytes, kind: ImportType, *named: Any
    ) -> MaterialId:
        self._do("import", self.region, arn, parameters.token, wrapped, kind.name, *named)
        return self.material

    def delete_pending_material(self, arn: Any, material: MaterialId) -> None:
        self._do("delete", self.region, arn, material)

    def rotate_key_on_demand(self, arn: Any) -> None:
        self._do("rotate", self.region, arn)

    def get_key_policy(self, arn: Any) -> str:
        self._do("policy", self.region, arn)
        return "the primary's policy"

    def replicate_key(self, arn: Any, region: Region, policy: str) -> None:
        self._do("replicate", self.region, arn, region, policy)

    def encrypt(self, arn: Any, text: bytes, context: Any) -> bytes:
        self._do("encrypt", self.region, arn, text, context)
        return b"ciphertext"

    def decrypt(self, arn: Any, ciphertext: bytes, context: Any) -> tuple[bytes, MaterialId]:
        self._do("decrypt", self.region, arn, ciphertext, context)
        return self.text, {b"of a": A}.get(ciphertext, self.material)

    def data_key_material(self, arn: Any, context: Any) -> MaterialId:
        self._do("data key", self.region, arn, context)
        return self.material

    # ---- the store

    def __str__(self) -> str:
        return "the store"

    def find(self, named: EntryName) -> Entry | None:
        self._do("find", named)
        return self.entries.get(named)

    def wrap(self, named: EntryName, public_key: bytes, algorithm: WrappingAlgorithm) -> bytes:
        self._do("wrap", named, public_key, algorithm)
        return b"wrapped"

    def probe(self, named: EntryName) -> bytes | None:
        return {name(None): b"of a", name(): b"of b"}.get(named)

    def __getattr__(self, what: str) -> Callable[..., None]:
        if what not in {"withdraw", "deposit", "adopt", "discard", "reinstate", "mark_proven", "link", "keep_probe"}:
            raise AttributeError(what)
        return lambda *about: self._do(what, *about)


def performing(fake: Fake) -> Perform:
    retry = Retry(lambda _seconds: None, RetryPolicy(attempts=3))
    parameters = Parameters(cast("Any", fake.at), retry, lambda: NOW, ALGORITHM)
    return Perform(cast("Any", fake.at), cast("Any", fake), parameters, retry)


NEW = ImportMaterial(KEY, name(), ImportType.NEW, None, UNTIL)
EXISTING = ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, UNTIL)
ROTATION = RotateOnDemand(KEY, B)
WITHDRAWAL = DeletePendingMaterial(KEY, B, name())
REPLICA = ReplicateKey(KEY, EU)
PROBE = KeepProbe(KEY, name(), B)
PROOF = ProveRegion(KEY.within(EU), B, (name(None), name()), (A, B), (MaterialId("c"),))

WRAPPED = ("wrap", name(), b"public", ALGORITHM)
SENT_NEW = ("import", US, KEY, b"token 1", b"wrapped", "NEW", None, UNTIL)
SENT_EXISTING = ("import", EU, KEY.within(EU), b"token 1", b"wrapped", "EXISTING", B, UNTIL)
DEPOSITED, LINKED = entry(), entry("a", "b")
DONE = Outcome(Result.DONE)
DONE_WITH_B = Outcome(Result.DONE, material_id=B)

DOES: dict[str, tuple[Action, dict[EntryName, Entry], list[tuple[Any, ...]], Outcome]] = {
    "deposit": (DepositMaterial(name()), {}, [("deposit", name())], DONE),
    "adopt": (AdoptMaterial(name(), "/a/file"), {}, [("adopt", name(), Path("/a/file"))], DONE),
    "discard": (DiscardMaterial(name(), NOW), {}, [("discard", name(), NOW)], DONE),
    "reinstate": (ReinstateMaterial(name(), NOW), {}, [("reinstate", name(), NOW)], DONE),
    "mark proven": (
        MarkProven(name(), B, (EU, US)),
        {},
        [("mark_proven", name(), {"material_id": B, "regions": [EU, US], "proof": "ids-only"})],
        DONE_WITH_B,
    ),
    "delete, and note that first (P6)": (
        WITHDRAWAL,
        {},
        [("withdraw", name(), B), ("delete", US, KEY, B)],
        DONE_WITH_B,
    ),
    "rotate": (ROTATION, {}, [("rotate", US, KEY)], DONE_WITH_B),
    "import NEW, and look at the entry last (I1)": (
        NEW,
        {name(): DEPOSITED},
        [WRAPPED, ("find", name()), SENT_NEW, ("link", name(), B)],
        DONE_WITH_B,
    ),
    "import NEW of what is not there": (
        NEW,
        {},
        [WRAPPED, ("find", name())],
        Outcome(Result.FAILED, "the store gives no receipt for the new material: it is not there", final=True),
    ),
    "import NEW of what cannot be read back": (
        NEW,
        {name(): entry(receipt=None, problem="it is torn", mend="put it back")},
        [WRAPPED, ("find", name())],
        Outcome(
            Result.FAILED, "the store gives no receipt for the new material: it is torn", final=True, hint="put it back"
        ),
    ),
    "import NEW of what another run has imported (I4)": (
        NEW,
        {name(): LINKED},
        [WRAPPED, ("find", name())],
        Outcome(Result.SKIPPED, "another run has imported or discarded this entry; looking again"),
    ),
    "import NEW of what another run has given up (P9)": (
        NEW,
        {name(): entry(discarded_at=NOW)},
        [WRAPPED, ("find", name())],
        Outcome(Result.SKIPPED, "another run has imported or discarded this entry; looking again"),
    ),
    "import EXISTING, which links these bytes (P2)": (
        EXISTING,
        {name(): DEPOSITED},
        [WRAPPED, SENT_EXISTING, ("link", name(), B)],
        DONE_WITH_B,
    ),
    "replicate with the primary's policy (P11)": (
        REPLICA,
        {},
        [("policy", US, KEY), ("replicate", US, KEY, EU, "the primary's policy")],
        DONE,
    ),
    "keep a probe (P14)": (
        PROBE,
        {},
        [
            ("encrypt", US, KEY, PROBE_TEXT, PROBE_CONTEXT),
            ("decrypt", US, KEY, b"ciphertext", PROBE_CONTEXT),
            ("keep_probe", name(), b"ciphertext"),
        ],
        DONE_WITH_B,
    ),
    "prove a Region (P14)": (
        PROOF,
        {},
        [
            ("data key", EU, KEY.within(EU), PROBE_CONTEXT),
            ("decrypt", EU, KEY.within(EU), b"of a", PROBE_CONTEXT),
            ("decrypt", EU, KEY.within(EU), b"of b", PROBE_CONTEXT),
        ],
        Outcome(Result.DONE, material_id=B, opened=(A, B), skipped=(MaterialId("c"),)),
    ),
}


@pytest.mark.parametrize("what", DOES)
def test_an_action_does_this_and_no_more(what: str) -> None:
    action, entries, done, outcome = DOES[what]
    fake = Fake(entries)

    assert performing(fake)(action) == outcome
    assert fake.done == done


def test_the_text_and_context_of_a_proof_are_what_key_policies_and_old_probes_rely_on() -> None:
    """P14: a policy grants Decrypt under this one context; probes that were kept for years hold this text."""
    assert (PROBE_TEXT, PROBE_CONTEXT) == (b"mrk proof: this text says nothing", {"mrk": "proof"})


TELLS: dict[str, tuple[Action, dict[str, list[Exception]], Outcome]] = {
    "a lost reply leaves a rotation in doubt": (
        ROTATION,
        {"rotate": [LOST]},
        Outcome(Result.FAILED, LOST.message, doubt=True, hint=LOST.hint),
    ),
    "being throttled leaves none": (
        ROTATION,
        {"rotate": [THROTTLED]},
        Outcome(Result.FAILED, THROTTLED.message, hint=THROTTLED.hint),
    ),
    "no connection leaves none": (
        NEW,
        {"import": [failure("EndpointConnectionError", Trouble.TRANSIENT)]},
        Outcome(Result.FAILED, "EndpointConnectionError of a call", hint="mend EndpointConnectionError"),
    ),
    "no connection in time leaves none": (
        NEW,
        {"import": [failure("ConnectTimeoutError", Trouble.TRANSIENT)]},
        Outcome(Result.FAILED, "ConnectTimeoutError of a call", hint="mend ConnectTimeoutError"),
    ),
    "a lost reply leaves NEW in doubt, and it is not sent again (I4)": (
        NEW,
        {"import": [LOST]},
        Outcome(Result.FAILED, LOST.message, doubt=True, hint=LOST.hint),
    ),
    "a state that passes": (NEW, {"import": [NOT_NOW]}, Outcome(Result.FAILED, NOT_NOW.message, hint=NOT_NOW.hint)),
    "no permission": (
        EXISTING,
        {"import": [DENIED]},
        Outcome(Result.FAILED, DENIED.message, final=True, hint=DENIED.hint),
    ),
    "a limit is for a person": (
        ROTATION,
        {"rotate": [failure("LimitExceededException", Trouble.PERMANENT)]},
        Outcome(
            Result.FAILED,
            "LimitExceededException of a call",
            final=True,
            person=True,
            hint="mend LimitExceededException",
        ),
    ),
    "other bytes are refused": (
        EXISTING,
        {"import": [failure("IncorrectKeyMaterialException", Trouble.PERMANENT)]},
        Outcome(
            Result.FAILED,
            f"KMS in {EU} refuses the bytes of {name()} in the store as others than bbbbbbbb's: "
            "IncorrectKeyMaterialException of a call",
            final=True,
            person=True,
            refused=True,
            hint=f"bring the right bytes: mrk adopt NAME FILE --material-id {B}",
        ),
    ),
    "pending material that is gone was never heard of": (
        WITHDRAWAL,
        {"delete": [failure("ValidationException", Trouble.PERMANENT)]},
        Outcome(Result.FAILED, "ValidationException of a call", hint="mend ValidationException"),
    ),
    "nothing else is excused by that": (
        ROTATION,
        {"rotate": [failure("ValidationException", Trouble.PERMANENT)]},
        Outcome(Result.FAILED, "ValidationException of a call", final=True, hint="mend ValidationException"),
    ),
    "a deletion that may not be": (
        WITHDRAWAL,
        {"delete": [DENIED]},
        Outcome(Result.FAILED, DENIED.message, final=True, hint=DENIED.hint),
    ),
    "a store that refuses needs a person": (
        DepositMaterial(name()),
        {"deposit": [StoreError("the store is full", "make room")]},
        Outcome(Result.FAILED, "the store is full", final=True, person=True, hint="make room"),
    ),
    "a replica that is there already": (
        REPLICA,
        {"replicate": [failure("AlreadyExistsException", Trouble.PERMANENT)]},
        Outcome(Result.SKIPPED, f"{EU} has a replica already; looking again"),
    ),
    "a replica that may not be made": (
        REPLICA,
        {"replicate": [DENIED]},
        Outcome(Result.FAILED, DENIED.message, final=True, hint=DENIED.hint),
    ),
    "parameters that are refused twice": (
        NEW,
        {"import": [STALE, STALE]},
        Outcome(Result.FAILED, STALE.message, final=True, hint=STALE.hint),
    ),
    "parameters that are refused twice, of EXISTING": (
        EXISTING,
        {"import": [STALE, STALE]},
        Outcome(Result.FAILED, STALE.message, final=True, hint=STALE.hint),
    ),
}


@pytest.mark.parametrize("what", TELLS)
def test_a_failure_tells_what_it_means(what: str) -> None:
    action, fails, outcome = TELLS[what]
    fake = Fake({name(): DEPOSITED}, fails=fails)

    assert performing(fake)(action) == outcome
    assert not any(line[0] in {"import", "rotate", "delete", "replicate", "link"} for line in fake.done)


@pytest.mark.parametrize(("action", "sent"), [(NEW, SENT_NEW), (EXISTING, SENT_EXISTING)])
def test_parameters_that_kms_refuses_are_fetched_anew_and_wrapped_for_anew(
    action: ImportMaterial, sent: tuple[Any, ...]
) -> None:
    fake = Fake({name(): DEPOSITED}, fails={"import": [STALE]})
    perform = performing(fake)

    assert perform(action) == DONE_WITH_B
    assert [line for line in fake.done if line[0] == "wrap"] == [WRAPPED, WRAPPED]
    assert [line for line in fake.done if line[0] == "import"] == [(*sent[:3], b"token 2", *sent[4:])]


@pytest.mark.parametrize(
    ("action", "step", "often"),
    [
        (EXISTING, "import", 2),
        (REPLICA, "policy", 2),
        (REPLICA, "replicate", 2),
        (PROBE, "encrypt", 2),
        (PROBE, "decrypt", 2),
        (PROOF, "data key", 2),
        (PROOF, "decrypt", 2),
    ],
)
def test_what_may_be_repeated_is_tried_again(action: Action, step: str, often: int) -> None:
    fake = Fake({name(): DEPOSITED}, fails={step: [LOST] * often})

    assert performing(fake)(action).result is Result.DONE


def test_a_store_that_does_not_take_the_link_leaves_in_doubt_what_kms_took() -> None:
    """I13: the bytes are in KMS by then, and a look will show them."""
    fake = Fake({name(): DEPOSITED}, fails={"link": [StoreError("the store is full", "make room")]})

    outcome = performing(fake)(EXISTING)

    assert outcome == Outcome(Result.FAILED, "the store is full", final=True, person=True, hint="make room", doubt=True)
    assert SENT_EXISTING in fake.done


def test_bytes_that_kms_calls_by_another_name_are_refused_and_not_linked() -> None:
    """P2: an id is believed only of the bytes that carried it."""
    fake = Fake({name(): DEPOSITED}, material=A)

    outcome = performing(fake)(EXISTING)

    assert (outcome.result, outcome.final, outcome.refused, outcome.person) == (Result.FAILED, True, True, True)
    assert not [line for line in fake.done if line[0] == "link"]


LATE: list[tuple[str, Action]] = [
    ("new material", NEW),
    ("existing material", EXISTING),
    ("a rotation", ROTATION),
    ("a deletion", WITHDRAWAL),
    ("a replica", REPLICA),
]


@pytest.mark.parametrize(("what", "action"), LATE, ids=[row[0] for row in LATE])
def test_nothing_is_sent_by_looks_that_have_become_old(what: str, action: Action) -> None:
    """I3: parameters, wrapping and retries take time, in which the owner may have disabled the key."""
    fake = Fake({name(): DEPOSITED})

    outcome = performing(fake)(action, lambda: False)

    assert (outcome.result, outcome.unsent) == (Result.SKIPPED, True), what
    assert not [line for line in fake.done if line[0] in {"import", "rotate", "delete", "replicate"}], what


@pytest.mark.parametrize(("material", "text"), [(A, PROBE_TEXT), (B, b"another text")])
def test_a_probe_under_other_material_or_of_another_text_is_not_kept(material: MaterialId, text: bytes) -> None:
    fake = Fake(material=material, text=text)

    outcome = performing(fake)(PROBE)

    assert outcome == Outcome(Result.FAILED, f"the probe was encrypted under {material[:8]}; looking again")
    assert not [line for line in fake.done if line[0] == "keep_probe"]


def test_a_region_that_encrypts_under_other_material_is_not_proven() -> None:
    outcome = performing(Fake(material=A))(PROOF)

    assert outcome == Outcome(Result.FAILED, f"{EU} still encrypts under aaaaaaaa", material_id=A)


def test_a_region_that_opens_another_text_needs_a_person() -> None:
    outcome = performing(Fake(text=b"another text"))(PROOF)

    assert outcome == Outcome(Result.FAILED, f"{EU} opened another text in {name(None)}", final=True, person=True)


def test_a_probe_that_was_made_under_other_material_than_its_link_says_needs_a_person() -> None:
    outcome = performing(Fake())(replace(PROOF, generations=(B, B)))

    assert outcome == Outcome(
        Result.FAILED,
        f"{name(None)} is linked to bbbbbbbb, but its probe was made under aaaaaaaa",
        final=True,
        person=True,
        hint="the store's links were changed: restore them from its copy before anything else",
    )


@pytest.mark.parametrize("generations", [(), (A,), (A, B, B)])
def test_nothing_is_proven_where_not_every_probe_has_its_generation(generations: tuple[MaterialId, ...]) -> None:
    """P14: what was not tried is never passed; such an action is a defect of ours, not an outcome."""
    with pytest.raises(ValueError, match="zip"):
        performing(Fake())(replace(PROOF, generations=generations))


def test_a_generation_whose_probe_is_gone_is_asked_about_with_nothing() -> None:
    fake = Fake()
    performing(fake)(ProveRegion(KEY, B, (name("b"),), (B,)))

    assert ("decrypt", US, KEY, b"", PROBE_CONTEXT) in fake.done
