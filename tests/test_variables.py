"""Settings from the environment: every one by its name, whatever the case, and what is wrong by its variable."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config_variables import read_variables, refuse_deep_variables
from orchestrator.errors import UsageError
from orchestrator.settings import Settings, load

KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
OTHER = KEY.replace("1234abcd", "5678abcd")
CONFIG = f"""\
store: {{uri: 'file:/a'}}
defaults: {{rotate_every: 90d}}
keys:
  Payments: {{arn: '{KEY}', regions: [us-east-1]}}
  orders: {{arn: '{OTHER}', regions: [us-east-1]}}
run: {{looks: 3}}
aws: {{profile: mine}}
"""


def settings_in(model: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Tell every setting, and what it may be; those of a key as those of Payments."""
    for name, field in model.model_fields.items():
        kind, here = field.annotation, (*where, name)
        if get_origin(kind) is dict:
            kind, here = get_args(kind)[1], (*here, "Payments")
        if hasattr(kind, "model_fields"):
            yield from settings_in(kind, here)
        else:
            yield here, kind


SETTINGS = dict(settings_in(Settings))


def named(where: tuple[str, ...]) -> str:
    return f"MRK_{'__'.join(where)}".upper()


def wrong(where: tuple[str, ...]) -> Any:
    """Return what a setting cannot be."""
    kind = SETTINGS[where]
    return [[]] if get_origin(kind) is tuple else [] if str in (kind, *get_args(kind)) else "$wrong"


TEXTS = [where for where, kind in SETTINGS.items() if where[-1] in {"kms_key", "mac_key", "profile"}]
"""What may be any text, so that no variable can be wrong."""


def nested(where: tuple[str, ...], value: Any) -> Any:
    for part in reversed(where):
        value = {part: value}
    return value


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def refused(config: Path) -> UsageError:
    with pytest.raises(UsageError) as error:
        load(config, {})
    assert error.value.hint
    return error.value


def test_the_settings_are_all_there() -> None:
    assert len(SETTINGS) > 40
    assert {where[0] for where in SETTINGS} == set(Settings.model_fields)


@pytest.mark.parametrize("where", [where for where in SETTINGS if where not in TEXTS], ids=".".join)
@pytest.mark.parametrize("case", ["upper", "lower"])
def test_a_wrong_value_is_told_with_the_variable_of_the_setting(
    config: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], case: str
) -> None:
    """The file has a line for the section, and is not to blame."""
    value = wrong(where)
    name = named(where) if case == "upper" else named(where).replace(named(where)[4:], "__".join(where))
    monkeypatch.setenv(name, "floppy$" if value == [] else value if isinstance(value, str) else json.dumps(value))
    if where[-1] == "uri":
        monkeypatch.setenv(name, "file:$HOME")

    assert refused(config).message.startswith(f"{name}: {'.'.join(where)}")


@pytest.mark.parametrize("where", SETTINGS, ids=".".join)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_wrong_value_in_json_is_told_with_the_variable_that_holds_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], depth: int
) -> None:
    depth = min(depth, len(where) - 1)
    name = named(where[:depth])
    monkeypatch.setenv(name, json.dumps(nested(where[depth:], wrong(where))))

    assert refused(config).message.startswith(f"{name}: {'.'.join(where)}")


@pytest.mark.parametrize("text", ["", "{", "age1x", "null"])
@pytest.mark.parametrize("name", ["MRK_STORE", "MRK_RUN", "MRK_KEYS", "MRK_KEYS__PAYMENTS", "MRK_STORE__RECIPIENTS"])
def test_what_has_several_parts_and_is_no_json_is_told_with_the_variable(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)

    error = refused(config)

    assert (error.message, "as JSON" in error.hint) == (f"{name}: the value is not JSON", True)


@pytest.mark.parametrize("name", ["MRK_STORE", "MRK_RUN", "MRK_KEYS", "MRK_KEYS__PAYMENTS", "MRK_STORE__RECIPIENTS"])
def test_json_of_another_kind_is_told_with_the_variable(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where a variable sets a part of the same section."""
    monkeypatch.setenv(name, "5")
    monkeypatch.setenv(f"{name}__DEADLINE", "1h") if name == "MRK_RUN" else None

    assert refused(config).message.startswith(f"{name}: ")


MEANT = {
    "MRK_RUN_DEADLINE": "MRK_RUN__DEADLINE",
    "mrk_run_deadline": "MRK_RUN__DEADLINE",
    "MRK_RUN___DEADLINE": "MRK_RUN__DEADLINE",
    "MRK_RUN__DEADLIN": "MRK_RUN__DEADLINE",
    "MRK_RUN__DEADLINE__MAX": "MRK_RUN__DEADLINE",
    "MRK_DEADLINE": "MRK_RUN__DEADLINE",
    "MRK_EXPIRES": "MRK_DEFAULTS__EXPIRES",
    "MRK_AWS_ROLE_ARN": "MRK_AWS__ROLE_ARN",
    "MRK_ENDPOINT_URL": "MRK_AWS__ENDPOINT_URL",
    "MRK_DEFALTS__PROOF": "MRK_DEFAULTS__PROOF",
    "MRK_STORES": "MRK_STORE",
    "MRK_STORE__RECIPIENTS__0": "MRK_STORE__RECIPIENTS",
    "MRK_KEYS_PAYMENTS_ROTATE_EVERY": "MRK_KEYS__PAYMENTS__ROTATE_EVERY",
    "MRK_KEYS_MY_KEY_ARN": "MRK_KEYS__MY_KEY__ARN",
    "MRK_KEYS__PAYMENTS__ROTATE_EVRY": "MRK_KEYS__PAYMENTS__ROTATE_EVERY",
    "MRK_KEYS__PAYMENTS__ROTATE__EVERY": "MRK_KEYS__PAYMENTS__ROTATE_EVERY",
}


@pytest.mark.parametrize("name", MEANT)
def test_a_name_of_no_setting_is_refused_with_the_one_that_is_meant(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1h")

    error = refused(config)

    assert error.message == f"{name}: no setting has that name"
    assert error.hint.startswith(f"did you mean {MEANT[name]}?")


def test_a_setting_of_a_key_with_one_underscore_is_told_as_one(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its form it names a whole key."""
    monkeypatch.setenv("MRK_KEYS__PAYMENTS_ROTATE_EVERY", "10d")

    error = refused(config)

    assert error.message == "MRK_KEYS__PAYMENTS_ROTATE_EVERY: the value is not JSON"
    assert error.hint.startswith("did you mean MRK_KEYS__PAYMENTS__ROTATE_EVERY? settings with several parts are")


@pytest.mark.parametrize("name", ["MRK_", "MRK_FOO", "MRK_PORTS", "MRK__"])
def test_a_name_of_nothing_is_refused_without_a_guess(config: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")

    assert refused(config).hint.startswith(
        "unset it. A name is section, two underscores, setting; sections: MRK_STORE,"
    )


@pytest.mark.parametrize("name", ["Payments", "PAYMENTS", "payments"])
def test_a_key_whose_name_has_capitals_is_reached(config: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"MRK_KEYS__{name}__ROTATE_EVERY", "10d")

    loaded = load(config, {})

    assert list(loaded.keys) == ["Payments", "orders"]
    assert [key.rotate_every and key.rotate_every.days for key in loaded.keys.values()] == [10, None]


def test_a_key_of_a_whole_section_as_json_is_reached_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever variable the environment has first; a key that is nowhere else has small letters."""
    third, fourth = (KEY.replace("1234abcd", f"{number}234abcd") for number in (3, 4))
    monkeypatch.setenv("MRK_KEYS__THIRD__ROTATE_EVERY", "20d")
    monkeypatch.setenv("MRK_KEYS__Fourth__ARN", fourth)
    monkeypatch.setenv("MRK_KEYS", json.dumps({"Third": {"arn": third}}))

    keys = load(config, {}).keys

    assert {"Third", "fourth", "Payments", "orders"} == set(keys)
    assert keys["Third"].rotate_every is not None


@pytest.mark.parametrize(("rest", "value"), [("__ROTATE_EVERY", "10d"), ("", '{"rotate_every": "10d"}')])
@pytest.mark.parametrize("name", ["Pay__ments", "pay-ments", "pay.ments", "_pay", "rotate_every", "arn"])
def test_a_key_of_any_name_is_reached(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, rest: str, value: str
) -> None:
    config.write_text(CONFIG.replace("Payments", name))
    monkeypatch.setenv(f"MRK_KEYS__{name.upper()}{rest}", value)

    keys = load(config, {}).keys

    assert list(keys) == [name, "orders"]
    assert keys[name].rotate_every is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MRK_RUN", '{"looks": 3, "looks": 4}'),
        ("MRK_KEYS", '{"Payments": {"rotate_every": "9d"}, "Payments": {}}'),
        ("MRK_KEYS__PAYMENTS", '{"proof": "off", "rotate_every": "9d", "proof": "full"}'),
    ],
)
def test_a_name_that_is_twice_in_one_value_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert refused(config).message in {f"{name}: {twice} is given twice" for twice in ("looks", "Payments", "proof")}


def test_a_name_that_may_be_either_of_two_keys_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(CONFIG.replace("  orders:", "  payments:"))
    assert len(load(config, {}).keys) == 2
    monkeypatch.setenv("MRK_KEYS__payments__ROTATE_EVERY", "10d")

    error = refused(config)

    assert error.message.startswith("MRK_KEYS__payments__ROTATE_EVERY: it may mean the key Payments or payments")
    assert "config file" in error.hint


@pytest.mark.parametrize("first", ["MRK_RUN__LOOKS", "mrk_run__looks"])
def test_one_setting_by_two_variables_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Which of them counts would be chance."""
    for name in (first, "MRK_RUN__looks"):
        monkeypatch.setenv(name, "4")

    message = refused(config).message

    assert first in message
    assert "MRK_RUN__looks" in message


def test_a_part_wins_over_the_whole_whichever_comes_first(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRK_KEYS__PAYMENTS__ROTATE_EVERY", "10d")
    monkeypatch.setenv("MRK_KEYS__PAYMENTS", json.dumps({"rotate_every": "20d", "renew_before": "40d"}))
    monkeypatch.setenv("MRK_RUN__LOOKS", "7")
    monkeypatch.setenv("MRK_RUN", '{"looks": 4, "workers": 5}')

    loaded = load(config, {})

    payments = loaded.keys["Payments"]
    assert (loaded.run.looks, loaded.run.workers) == (7, 5)
    assert [found and found.days for found in (payments.rotate_every, payments.renew_before)] == [10, 40]


TOGETHER = {
    "a default, and a key of the file": (
        {"MRK_DEFAULTS__MIN_INTERVAL": "100d"},
        "MRK_DEFAULTS__MIN_INTERVAL: keys.Payments: rotate_every (90d) is shorter than min_interval (100d)",
    ),
    "a default of a whole section": (
        {"MRK_DEFAULTS": '{"min_interval": "100d"}'},
        "MRK_DEFAULTS: keys.Payments: rotate_every",
    ),
    "one key's": ({"MRK_KEYS__ORDERS__EXPIRES": "8d"}, "MRK_KEYS__ORDERS__EXPIRES: keys.orders: expires (8d) must be"),
    "a default that is too long": (
        {"MRK_DEFAULTS__EXPIRES": "60d", "MRK_DEFAULTS__RENEW_BEFORE": "60d"},
        "MRK_DEFAULTS__EXPIRES: keys.Payments: expires (60d) must be longer than renew_before (60d)",
    ),
    "an endpoint, and a choice of endpoints": (
        {"MRK_AWS__FIPS": "true", "MRK_AWS__ENDPOINT_URL": "https://127.0.0.1"},
        "MRK_AWS__ENDPOINT_URL: aws: endpoint_url does not go together",
    ),
    "a key that is there": (
        {"MRK_KEYS__NEW__ARN": KEY},
        "MRK_KEYS__NEW__ARN: keys.new is the same key as keys.Payments",
    ),
    "a key that becomes another": (
        {"MRK_KEYS__PAYMENTS__ARN": OTHER},
        "MRK_KEYS__PAYMENTS__ARN: keys.orders is the same key as keys.Payments",
    ),
    "a key without an ARN": (
        {"MRK_KEYS__NEW__ROTATE_EVERY": "9d"},
        "MRK_KEYS__NEW__ROTATE_EVERY: keys.new.arn is missing",
    ),
    "a key of other capitals, in JSON": (
        {"MRK_KEYS": '{"payments": {"rotate_every": "9d"}}'},
        "MRK_KEYS: keys.payments.arn is missing",
    ),
    "a key's name": (
        {"MRK_KEYS__A B__ARN": KEY.replace("1234", "9999")},
        "MRK_KEYS__A B__ARN: keys.a b: a key's name has",
    ),
}


@pytest.mark.parametrize(("given", "said"), TOGETHER.values(), ids=TOGETHER)
def test_what_does_not_go_together_is_told_with_the_variable_that_is_part_of_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert refused(config).message.startswith(said)


def test_what_does_not_go_together_in_the_file_is_told_with_its_line(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though variables give other settings of the same section and the same key."""
    config.write_text(CONFIG.replace("rotate_every: 90d", "rotate_every: 90d, min_interval: 100d"))
    monkeypatch.setenv("MRK_DEFAULTS__PROOF", "full")
    monkeypatch.setenv("MRK_KEYS__PAYMENTS__PROOF", "off")

    assert refused(config).message.startswith(f"{config}:4: keys.Payments: rotate_every (90d) is shorter")


def test_a_key_of_other_capitals_in_json_is_not_to_blame(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(CONFIG.replace("regions: [us-east-1]}", "rotate_every: often}", 1))
    third = KEY.replace("1234abcd", "3234abcd")
    monkeypatch.setenv("MRK_KEYS", json.dumps({"payments": {"arn": third, "rotate_every": "9d"}}))

    assert refused(config).message.startswith(f"{config}:4: keys.Payments.rotate_every: 'often' is not a duration")


def test_what_the_file_lacks_is_told_with_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(CONFIG.replace(f"arn: '{KEY}', ", ""))
    monkeypatch.setenv("MRK_KEYS__PAYMENTS__ROTATE_EVERY", "9d")

    assert refused(config).message == f"{config}:4: keys.Payments.arn is missing"


NAMES = st.lists(
    st.sampled_from(
        ["MRK", "_", "__", "KEYS", "RUN", "STORE", "PAYMENTS", "pay", "ARN", "LOOKS", "RECIPIENTS", "PORT", "é"]
    ),
    max_size=7,
).map("".join)
VALUES = st.sampled_from(
    ["", "1", "null", "[]", "[1]", "{}", '{"arn": 1}', '{"payments": {"arn": []}}', '{"a": ', "\ud800", "[" * 60]
)


@settings(max_examples=300)
@given(st.dictionaries(NAMES.map("MRK_".__add__), VALUES, max_size=4))
def test_whatever_the_environment_holds_is_read_or_refused(environment: dict[str, str]) -> None:
    with suppress(UsageError):
        refuse_deep_variables(environment)
        read = read_variables(environment, Settings, (), ["Payments", "pay__s"])
        assert set(read) <= set(Settings.model_fields)
