from pathlib import Path

import pytest
from pydantic import ValidationError

from timeseries_segmenter.errors import SettingsError
from timeseries_segmenter.settings import Settings, read_settings

KEY = "5f0c2b9e7d3a41c8b6e0f4d29a1c7e38b5d60f42"
FREE_TEXT = {
    "label_studio_api_key",
    "model_dir",
    "local_files_dir",
    "cache_dir",
    "basic_auth_pass",
    "webhook_secret",
    "use_class_weights",  # what is not a boolean is false, with a remark
}
HIDDEN = {"redis_url"}
BAD = [
    ("LABEL_STUDIO_HOST", "localhost:8080"),
    ("LABEL_STUDIO_HOST", "ftp://label-studio"),
    ("LABEL_STUDIO_HOST", "http://"),
    ("LABEL_STUDIO_HOST", "http://studio:0x50"),
    ("LABEL_STUDIO_HOST", "http://studio:99999"),
    ("LABEL_STUDIO_HOST", "http://stu dio:8080"),
    ("LABEL_STUDIO_HOST", "http://stu\tdio:8080"),
    ("LABEL_STUDIO_HOST", "http://studio:8080/?x=1"),
    ("LABEL_STUDIO_HOST", "http://studio:8080/projects/3/data?tab=1"),
    ("LABEL_STUDIO_HOST", "http://studio:8080/base/projects"),
    ("LABEL_STUDIO_HOST", "http://studio:8080/user/login/"),
    ("LABEL_STUDIO_URL", "label-studio"),
    ("LABEL_STUDIO_PUBLIC_URL", "label-studio.example.com"),
    ("LABEL_STUDIO_PUBLIC_URL", "javascript:alert(1)"),
    ("START_TRAINING_EACH_N_UPDATES", "0"),
    ("START_TRAINING_EACH_N_UPDATES", "often"),
    ("TRAIN_EPOCHS", "-1"),
    ("TRAIN_EPOCHS", "1.5"),
    ("SEQUENCE_SIZE", "0"),
    ("SEQUENCE_SIZE", "2.5"),
    ("HIDDEN_SIZE", "0"),
    ("LOG_LEVEL", "10"),
    ("BALANCED_ACCURACY_THRESHOLD", "nan"),
    ("MIN_CLASS_F1_THRESHOLD", "-0.1"),
    ("MIN_CLASS_F1_THRESHOLD", "0,7"),
    ("WARM_START", "perhaps"),
    ("RANDOM_SEED", "-1"),
    ("MODEL_HISTORY", "0"),
    ("MODELS_IN_MEMORY", "0"),
    ("SEARCH_SECONDS", "inf"),
    ("MAX_TRAINING_ROWS", "999"),
    ("PREDICT_AFTER_TRAINING", "-1"),
    ("PREDICT_SECONDS", "0"),
    ("TRAINING_TIMEOUT", "0"),
    ("TRAINING_PROCESSES", "0"),
    ("REDIS_URL", "localhost:6379"),
    ("DATA_ALLOWED_HOSTS", "http://minio:9000"),
    ("DATA_ALLOWED_HOSTS", "minio,10.0.0.0/8"),
    ("BASIC_AUTH_USER", "me:you"),
    ("DEVICE", "gpu"),
    ("DOWNLOAD_TIMEOUT", "0"),
    ("DOWNLOAD_TIMEOUT", "soon"),
    ("PREDICT_DOWNLOAD_TIMEOUT", "0"),
    ("MAX_SERIES_MB", "0"),
    ("CACHE_MB", "-1"),
    ("MAX_REQUEST_MB", "0"),
    ("MAX_REQUEST_TASKS", "0"),
    ("MAX_REQUEST_VALUES", "999"),
    ("LOG_LEVEL", "LOUD"),
    ("LOG_FORMAT", "xml"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("WORKERS", "0"),
    ("THREADS", "0"),
]
PROMISED = {
    "label_studio_host": "http://localhost:8080",
    "start_training_each_n_updates": 1,
    "train_epochs": 1000,
    "sequence_size": 50,
    "hidden_size": 64,
    "balanced_accuracy_threshold": 0.85,
    "min_class_f1_threshold": 0.70,
    "use_class_weights": True,
    "log_level": "INFO",
    "port": 9090,
}


def test_the_defaults_are_the_promised_ones() -> None:
    settings = read_settings()
    assert {name: getattr(settings, name) for name in PROMISED} == PROMISED
    assert settings.label_studio_api_key.get_secret_value() == ""
    assert settings.local_files_dir is None


def test_every_setting_that_can_be_wrong_is_tried() -> None:
    assert {name.lower() for name, _ in BAD} == set(Settings.model_fields) - FREE_TEXT | {"label_studio_url"}


@pytest.mark.parametrize(("variable", "value"), BAD)
def test_an_error_names_the_variable_and_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    shown = "(hidden)" if variable.lower() in HIDDEN else repr(value)
    assert f"{variable} is {shown}: " in str(raised.value)


def test_all_errors_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("WORKERS", "0")
    with pytest.raises(SettingsError, match=r"PORT is 'http': .*; WORKERS is '0': "):
        read_settings()


@pytest.mark.parametrize("variable", [name.upper() for name in Settings.model_fields] + ["LABEL_STUDIO_URL"])
def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "")
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("LABEL_STUDIO_HOST", "https://studio.example/base/", "https://studio.example/base"),
        ("LABEL_STUDIO_URL", "http://10.0.0.5:8080/", "http://10.0.0.5:8080"),
        ("MODEL_DIR", "/data/models", Path("/data/models")),
        ("START_TRAINING_EACH_N_UPDATES", "5", 5),
        ("USE_CLASS_WEIGHTS", "false", False),
        ("USE_CLASS_WEIGHTS", "0", False),
        ("USE_CLASS_WEIGHTS", "True", True),
        ("BALANCED_ACCURACY_THRESHOLD", "1", 1.0),
        ("LOCAL_FILES_DIR", "/data/series", Path("/data/series")),
        ("CACHE_MB", "0", 0),
        ("DATA_ALLOWED_HOSTS", "Minio:9000, 10.0.0.5,[::1]:80,", ("minio:9000", "10.0.0.5", "[::1]:80")),
        ("DOWNLOAD_TIMEOUT", "2.5", 2.5),
        ("DEVICE", "CPU", "cpu"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_FORMAT", "JSON", "json"),
        ("PORT", "9191", 9191),
    ],
)
def test_a_variable_is_read_as_its_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    name = "label_studio_host" if variable == "LABEL_STUDIO_URL" else variable.lower()
    read = getattr(read_settings(), name)
    assert (read, type(read)) == (value, type(value) if not isinstance(value, Path) else type(Path()))


def test_label_studio_host_wins_over_label_studio_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://url:1")
    monkeypatch.setenv("LABEL_STUDIO_HOST", "http://host:1")
    assert read_settings().label_studio_host == "http://host:1"


def test_label_studio_url_counts_where_the_host_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://url:1")
    monkeypatch.setenv("LABEL_STUDIO_HOST", "")
    assert read_settings().label_studio_host == "http://url:1"


@pytest.mark.parametrize("variable", ["LABEL_STUDIO_HOST", "LABEL_STUDIO_URL"])
def test_overrides_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://environment:1")
    monkeypatch.setenv("PORT", "1")
    settings = read_settings(label_studio_host="http://given:1", port=2)
    assert (settings.label_studio_host, settings.port) == ("http://given:1", 2)


@pytest.mark.parametrize(
    ("variable", "text", "value", "said"),
    [
        ("LOG_LEVEL", "WARN", "WARNING", "LOG_LEVEL=WARN is taken as WARNING"),
        ("LOG_LEVEL", "fatal", "CRITICAL", "LOG_LEVEL=fatal is taken as CRITICAL"),
        ("LOG_LEVEL", "NOTSET", "DEBUG", "LOG_LEVEL=NOTSET is taken as DEBUG"),
        ("SEQUENCE_SIZE", "2", 4, "SEQUENCE_SIZE=2 is taken as 4: it may be 4 to 10000"),
        ("SEQUENCE_SIZE", "10001", 10_000, "SEQUENCE_SIZE=10001 is taken as 10000"),
        ("HIDDEN_SIZE", "5000", 4096, "HIDDEN_SIZE=5000 is taken as 4096: it may be 1 to 4096"),
        (
            "BALANCED_ACCURACY_THRESHOLD",
            "85",
            85.0,
            "BALANCED_ACCURACY_THRESHOLD=85 is above 1 and never met",
        ),
        ("MIN_CLASS_F1_THRESHOLD", "1.01", 1.01, "MIN_CLASS_F1_THRESHOLD=1.01 is above 1 and never met"),
        (
            "MIN_CLASS_F1_THRESHOLD",
            "inf",
            float("inf"),
            "MIN_CLASS_F1_THRESHOLD=inf is above 1 and never met",
        ),
        ("USE_CLASS_WEIGHTS", "perhaps", False, "USE_CLASS_WEIGHTS=perhaps is taken as false"),
        ("USE_CLASS_WEIGHTS", "1", True, "USE_CLASS_WEIGHTS=1 is taken as true"),
    ],
)
def test_a_value_of_label_studio_mls_example_is_taken_with_a_remark(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: object, said: str
) -> None:
    monkeypatch.setenv(variable, text)
    settings = read_settings()
    assert getattr(settings, variable.lower()) == value
    (remark,) = settings.remarks
    assert remark.startswith(said)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOG_LEVEL", "warning"),
        ("SEQUENCE_SIZE", "4"),
        ("HIDDEN_SIZE", "4096"),
        ("MIN_CLASS_F1_THRESHOLD", "1"),
        ("USE_CLASS_WEIGHTS", "False"),
        ("USE_CLASS_WEIGHTS", "0"),
        ("ML_SERVER_BASIC_AUTH_USER", ""),
    ],
)
def test_nothing_is_said_of_other_values(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    monkeypatch.setenv(variable, text)
    assert read_settings().remarks == ()


def test_nothing_is_said_of_a_variable_that_an_option_wins_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "WARN")
    assert (read_settings(log_level="ERROR").log_level, read_settings(log_level="ERROR").remarks) == (
        "ERROR",
        (),
    )


def test_user_and_password_have_the_names_of_label_studio_mls_command_line_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ML_SERVER_BASIC_AUTH_USER", "me")
    monkeypatch.setenv("ML_SERVER_BASIC_AUTH_PASS", "secret")
    settings = read_settings()
    assert (settings.basic_auth_user, settings.basic_auth_pass.get_secret_value()) == ("me", "secret")
    settings = read_settings(basic_auth_user="you", basic_auth_pass="other")
    assert (settings.basic_auth_user, settings.basic_auth_pass.get_secret_value()) == ("you", "other")
    monkeypatch.delenv("ML_SERVER_BASIC_AUTH_PASS")
    with pytest.raises(SettingsError, match="go together"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "own", "other", "value"),
    [
        ("label_studio_host", "LABEL_STUDIO_HOST", "LABEL_STUDIO_HOSTNAME", "http://studio:1"),
        ("label_studio_api_key", "LABEL_STUDIO_API_KEY", "LABEL_STUDIO_ACCESS_TOKEN", KEY),
        ("basic_auth_user", "BASIC_AUTH_USER", "ML_SERVER_BASIC_AUTH_USER", "me"),
        ("basic_auth_pass", "BASIC_AUTH_PASS", "ML_SERVER_BASIC_AUTH_PASS", "s3cret"),
    ],
)
def test_another_name_of_a_setting_counts_unless_its_own_is_set(
    monkeypatch: pytest.MonkeyPatch, name: str, own: str, other: str, value: str
) -> None:
    given = {"basic_auth_user": "you", "basic_auth_pass": "and you"}
    given = {key: text for key, text in given.items() if name.startswith("basic") and key != name}
    monkeypatch.setenv(other, value)
    settings = read_settings(**given)
    read = getattr(settings, name)
    assert (getattr(read, "get_secret_value", lambda: read)(), settings.remarks) == (value, ())
    monkeypatch.setenv(own, "http://own:1")
    if name != "basic_auth_user":  # it may hold no colon
        settings = read_settings(**given)
        assert settings.remarks == (f"{other} is not used, since {own} is set to another value",)
        assert value not in settings.remarks[0]


def test_an_unknown_override_is_an_error() -> None:
    with pytest.raises(SettingsError, match="EPOCHS"):
        read_settings(epochs=5)


@pytest.mark.parametrize("key", [KEY, 5, ["a"]])
def test_the_key_is_never_shown(monkeypatch: pytest.MonkeyPatch, key: object) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
    assert read_settings().label_studio_api_key.get_secret_value() == KEY
    shown = f"{read_settings()!r} {read_settings()} {read_settings().model_dump_json()}"
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SettingsError) as raised:
        read_settings(label_studio_api_key=key)
    assert KEY not in f"{shown} {raised.value!r} {raised.value}"
    if key != KEY:
        assert "LABEL_STUDIO_API_KEY is (hidden)" in str(raised.value)
        assert repr(key) not in str(raised.value)


@pytest.mark.parametrize("given", [{"basic_auth_user": "me"}, {"basic_auth_pass": "secret"}])
def test_a_user_needs_a_password_and_a_password_a_user(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="BASIC_AUTH_USER and BASIC_AUTH_PASS go together"):
        read_settings(**given)


@pytest.mark.parametrize("name", ["redis_url", "basic_auth_pass", "webhook_secret"])
def test_secrets_are_never_shown(name: str) -> None:
    secret = "redis://:s3cret@host/0"
    settings = read_settings(
        **{name: secret} | ({"basic_auth_user": "me"} if name == "basic_auth_pass" else {})
    )
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert getattr(settings, name).get_secret_value() == secret


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().port = 1  # type: ignore[misc]  # what must not be done


def test_links_lead_to_the_public_address_of_label_studio_where_there_is_one() -> None:
    inside = {"label_studio_host": "http://label-studio:8080"}
    assert read_settings(**inside).label_studio_link == "http://label-studio:8080"
    outside = read_settings(**inside, label_studio_public_url="https://studio.example.com/")
    assert outside.label_studio_link == "https://studio.example.com"


def test_series_are_cached_beside_the_models_unless_told_otherwise() -> None:
    assert read_settings(model_dir="/m").series_cache_dir == Path("/m/cache")
    assert read_settings(model_dir="/m", cache_dir="/c").series_cache_dir == Path("/c")


def test_other_variables_of_the_environment_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_USERNAME", "admin")
    monkeypatch.setenv("EPOCHS", "x")
    assert read_settings() == Settings()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("name", ["LABEL_STUDIO_HOST", "LABEL_STUDIO_URL", "LABEL_STUDIO_PUBLIC_URL"])
@pytest.mark.parametrize(
    "address",
    ["http://me:s3cret@studio:8080", "http://s3cret@studio", "http://me:s3c/ret@studio", "me:s3cret@studio"],
)
def test_an_address_with_a_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(SettingsError, match=f"{name} is '…@studio") as raised:
        read_settings()
    assert "s3c" not in str(raised.value)


@pytest.mark.parametrize("around", ["{}", " {}\n", "'{}'", '"{}"', ' " {} "\r\n'])
def test_blanks_and_quotation_marks_around_addresses_and_the_key_are_no_part_of_them(
    monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_HOST", around.format("http://studio:8080/"))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", around.format(KEY))
    settings = read_settings()
    assert settings.label_studio_host == "http://studio:8080"
    assert settings.label_studio_api_key.get_secret_value() == KEY


@pytest.mark.parametrize("key", [f"Token {KEY}", f"{KEY[:20]}\n{KEY[20:]}", f"{KEY}\u00e4", f"{KEY}\x00"])
def test_a_key_that_can_be_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match=r"_API_KEY is \(hidden\): .*copy the token") as raised:
        read_settings(label_studio_api_key=key)
    assert KEY[:10] not in str(raised.value)
