"""Perform: carry out one action, whatever comes of it as an outcome. Nothing is decided here."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from orchestrator.errors import KmsError, StoreError, Trouble, UsageError
from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MarkProven,
    MaterialId,
    NoteSwitch,
    Outcome,
    ProveRegion,
    ReinstateMaterial,
    ReplicateKey,
    Result,
    RotateOnDemand,
    short,
)
from orchestrator.parameters import Parameters
from orchestrator.ports import ImportParameters, KmsClients, MaterialStore
from orchestrator.retry import Retry
from orchestrator.sending import Timely, TooLateError, only_while

PROBE_TEXT = b"mrk proof: this text says nothing"
PROBE_CONTEXT = {"mrk": "proof"}
"""The one encryption context of every proof, so that a key policy can grant Decrypt under it alone (P14)."""

_NOTHING_DONE = ("ThrottlingException", "EndpointConnectionError", "ConnectTimeoutError")
"""Failures that leave no doubt: KMS refused the call, or no connection was made to send it over."""

_FOR_A_PERSON = ("LimitExceededException",)


class Carrying(Protocol):
    """Whatever carries out one action; every failure is an outcome."""

    def __call__(self, action: Action, timely: Timely = ...) -> Outcome:
        """Carry it out, unless `timely` says that what it was decided by is old."""


class Perform:
    """Carries out actions against KMS and the store. Safe to share between threads."""

    def __init__(
        self,
        kms: KmsClients,
        store: MaterialStore,
        parameters: Parameters,
        retry: Retry,
    ) -> None:
        self._kms = kms
        self._store = store
        self._parameters = parameters
        self._retry = retry

    def __call__(self, action: Action, timely: Timely = lambda: True) -> Outcome:
        """Carry out one action; every failure is an outcome."""
        try:
            return self._perform(action, timely)
        except (StoreError, UsageError, KmsError) as error:
            return _failed(error, action)

    def _perform(self, action: Action, timely: Timely) -> Outcome:
        match action:
            case DeletePendingMaterial():
                self._store.withdraw(action.entry, action.material_id)
                with only_while(timely):
                    self._kms(action.arn.region).delete_pending_material(action.arn, action.material_id)
                return Outcome(Result.DONE, material_id=action.material_id)
            case ImportMaterial(import_type=ImportType.NEW):
                return self._import_new(action, timely)
            case ImportMaterial():
                return self._import_existing(action, timely)
            case RotateOnDemand():
                with only_while(timely):
                    self._kms(action.arn.region).rotate_key_on_demand(action.arn)
                return Outcome(Result.DONE, material_id=action.material_id)
            case ReplicateKey():
                return self._replicate(action, timely)
            case KeepProbe():
                return self._keep_probe(action)
            case ProveRegion():
                return self._prove(action)
            case _:
                return self._keep(action)

    def _keep(
        self,
        action: DepositMaterial | AdoptMaterial | DiscardMaterial | ReinstateMaterial | MarkProven | NoteSwitch,
    ) -> Outcome:
        """Carry out what concerns the store alone."""
        match action:
            case NoteSwitch(key=arn):
                self._store.note_switch(arn.identity, arn.region, action.at, off=action.off)
            case DepositMaterial():
                self._store.deposit(action.entry)
            case AdoptMaterial():
                self._store.adopt(action.entry, Path(action.source))
            case DiscardMaterial():
                self._store.discard(action.entry, action.at)
            case ReinstateMaterial():
                self._store.reinstate(action.entry, action.at)
            case MarkProven():
                how = {"regions": list(action.regions), "proof": str(action.proof)}
                until = {"valid_to": action.valid_to} if action.valid_to else {}
                evidence = {"material_id": action.material_id, **how, **until}
                self._store.mark_proven(action.entry, evidence)
                return Outcome(Result.DONE, material_id=action.material_id)
        return Outcome(Result.DONE)

    def _replicate(self, action: ReplicateKey, timely: Timely) -> Outcome:
        """Send the primary's own key policy with the replica, so that access is never widened (P11)."""
        kms = self._kms(action.arn.region)
        policy = self._retry(lambda: kms.get_key_policy(action.arn))
        try:
            with only_while(timely):
                self._retry(lambda: kms.replicate_key(action.arn, action.region, policy))
        except KmsError as error:
            if error.code != "AlreadyExistsException":
                raise
            return Outcome(Result.SKIPPED, f"{action.region} has a replica already; looking again")
        return Outcome(Result.DONE)

    def _import_new(self, action: ImportMaterial, timely: Timely) -> Outcome:
        """Send NEW once; parameters that KMS refuses are fetched anew, as nothing was imported then."""
        try:
            return self._new_once(action, timely)
        except KmsError as error:
            if error.trouble is not Trouble.STALE_PARAMETERS:
                raise
        return self._new_once(action, timely)

    def _new_once(self, action: ImportMaterial, timely: Timely) -> Outcome:
        """Send NEW only with a fresh receipt for an entry that was never imported (I1, I4).

        That is looked at last, when all else is at hand, so that hardly anything can happen between look and call.
        """
        sealed = self._sealed(action)
        entry = self._store.find(action.entry)
        if entry is None or entry.receipt is None:
            problem, mend = (entry.problem, entry.mend) if entry else ("it is not there", "")
            message = f"the store gives no receipt for the new material: {problem}"
            return Outcome(Result.FAILED, message, final=True, hint=mend)
        if entry.linked is not None or entry.discarded_at is not None:
            return Outcome(Result.SKIPPED, "another run has imported or discarded this entry; looking again")
        material = self._send(action, *sealed, timely)
        self._store.link(action.entry, material)
        return Outcome(Result.DONE, material_id=material)

    def _import_existing(self, action: ImportMaterial, timely: Timely) -> Outcome:
        """Send EXISTING, which KMS checks against the id: that it accepts the bytes is the proof that links (P2)."""
        try:
            material = self._retry(lambda: self._send_existing(action, timely))
        except KmsError as error:
            outcome = _failed(error, action)
            return replace(outcome, message=self._whose(action, outcome)) if outcome.refused else outcome
        if material != action.material_id:
            message = f"KMS says these bytes are {short(material)}, not {short(action.material_id)}"
            return Outcome(Result.FAILED, message, final=True, refused=True, person=True, hint=_bring(action))
        try:
            self._store.link(action.entry, material)
        except (StoreError, KmsError) as error:  # the bytes are in KMS, which must be told of (I13)
            return replace(_failed(error, action), doubt=True)
        return Outcome(Result.DONE, material_id=material)

    def _whose(self, action: ImportMaterial, outcome: Outcome) -> str:
        which, where = short(action.material_id), action.arn.region
        return f"KMS in {where} refuses the bytes of {action.entry} in {self._store} as others than {which}'s: " + (
            outcome.message
        )

    def _send_existing(self, action: ImportMaterial, timely: Timely) -> MaterialId:
        try:
            return self._send(action, *self._sealed(action), timely)
        except KmsError as error:
            if error.trouble is not Trouble.STALE_PARAMETERS:
                raise
        return self._send(action, *self._sealed(action), timely)

    def _sealed(self, action: ImportMaterial) -> tuple[ImportParameters, bytes]:
        parameters = self._parameters.get(action.arn)
        return parameters, self._store.wrap(action.entry, parameters.public_key, parameters.algorithm)

    def _send(self, action: ImportMaterial, parameters: ImportParameters, wrapped: bytes, timely: Timely) -> MaterialId:
        """Send one import; parameters that KMS refuses are forgotten, and that nothing was imported is certain then."""
        kms = self._kms(action.arn.region)
        try:
            with only_while(timely):
                return kms.import_key_material(
                    action.arn, parameters, wrapped, action.import_type, action.material_id, action.valid_to
                )
        except KmsError as error:
            if error.trouble is Trouble.STALE_PARAMETERS:
                self._parameters.drop(action.arn, parameters)
            raise

    def _keep_probe(self, action: KeepProbe) -> Outcome:
        kms = self._kms(action.arn.region)
        ciphertext = self._retry(lambda: kms.encrypt(action.arn, PROBE_TEXT, PROBE_CONTEXT))
        text, material = self._retry(lambda: kms.decrypt(action.arn, ciphertext, PROBE_CONTEXT))
        if text != PROBE_TEXT or material != action.material_id:
            return Outcome(Result.FAILED, f"the probe was encrypted under {short(material)}; looking again")
        self._store.keep_probe(action.entry, ciphertext)
        return Outcome(Result.DONE, material_id=material)

    def _prove(self, action: ProveRegion) -> Outcome:
        """Ask for the new id, and open every generation's probe; what could not be tried is skipped, never passed."""
        kms = self._kms(action.arn.region)
        used = self._retry(lambda: kms.data_key_material(action.arn, PROBE_CONTEXT))
        if used != action.material_id:
            message = f"{action.arn.region} still encrypts under {short(used)}"
            return Outcome(Result.FAILED, message, material_id=used)
        opened: list[MaterialId] = []
        for name, generation in zip(action.probes, action.generations, strict=True):
            open_probe = partial(kms.decrypt, action.arn, self._store.probe(name) or b"", PROBE_CONTEXT)
            text, material = self._retry(open_probe)
            if text != PROBE_TEXT:
                return Outcome(
                    Result.FAILED, f"{action.arn.region} opened another text in {name}", final=True, person=True
                )
            if material != generation:
                message = f"{name} is linked to {short(generation)}, but its probe was made under {short(material)}"
                hint = "the store's links were changed: restore them from its copy before anything else"
                return Outcome(Result.FAILED, message, final=True, person=True, hint=hint)
            opened.append(material)
        return Outcome(Result.DONE, material_id=used, opened=tuple(opened), skipped=action.untried)


def _bring(action: ImportMaterial) -> str:
    return f"bring the right bytes: mrk adopt NAME FILE --material-id {action.material_id}"


def _failed(error: KmsError | StoreError | UsageError, action: Action) -> Outcome:
    """Tell what a failed call means for the run: never more than that it may pass, or will not."""
    if isinstance(error, TooLateError):
        return Outcome(Result.SKIPPED, error.message, unsent=True)
    if not isinstance(error, KmsError):
        return Outcome(Result.FAILED, error.message, final=True, person=True, hint=error.hint)
    final = error.trouble in {Trouble.PERMANENT, Trouble.STALE_PARAMETERS}
    refused = error.code == "IncorrectKeyMaterialException" and isinstance(action, ImportMaterial)
    existing = isinstance(action, ImportMaterial) and action.import_type is ImportType.EXISTING
    doubt = error.trouble is Trouble.TRANSIENT and error.code not in _NOTHING_DONE
    if isinstance(action, DeletePendingMaterial) and error.code == "ValidationException":
        final = False  # KMS has never heard of pending material that is gone
    return Outcome(
        Result.FAILED,
        error.message,
        final=final,
        doubt=doubt,
        person=error.code in _FOR_A_PERSON or (refused and existing),
        refused=refused,
        hint=_bring(action) if refused and existing and isinstance(action, ImportMaterial) else error.hint,
    )
