"""Settings: defaults, environment, flags, and one clear line for each mistake."""

import pytest

from app.settings import PREFIX, Settings, SettingsError, load_settings, variable


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.names():
        monkeypatch.delenv(variable(name), raising=False)


def test_every_setting_says_why_in_one_line() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert "\n" not in field.description, name


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELECTRA_MAX_ITEMS", "7")
    monkeypatch.setenv("ELECTRA_CORS_ORIGINS", "https://a.example, https://b.example,")
    settings = load_settings()
    assert settings.max_items == 7
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELECTRA_PORT", "1000")
    assert load_settings({"port": "2000"}).port == 2000


def test_unknown_variable_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(
        SettingsError, match=r"ELECTRA_MAX_ITEM is not a setting; did you mean ELECTRA_MAX_ITEMS\?"
    ):
        load_settings(environment={f"{PREFIX}MAX_ITEM": "3"})
    with pytest.raises(SettingsError, match="--help lists"):
        load_settings(environment={f"{PREFIX}QQQQQQQQ": "3"})


def test_other_variables_are_left_alone() -> None:
    load_settings(environment={"PATH": "/bin", "MAX_ITEMS": "x"})


def test_kubernetes_service_links_are_recognised() -> None:
    with pytest.raises(SettingsError, match="enableServiceLinks"):
        load_settings(environment={"ELECTRA_SERVICE_HOST": "10.0.0.1"})


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("port", "99999", "ELECTRA_PORT '99999'"),
        ("workers", "0", "ELECTRA_WORKERS"),
        ("backend", "tpu", "ELECTRA_BACKEND 'tpu'"),
        ("root_path", "electra/", "ELECTRA_ROOT_PATH"),
        ("otel_endpoint", "collector:4318", "ELECTRA_OTEL_ENDPOINT"),
        ("request_timeout_s", "soon", "ELECTRA_REQUEST_TIMEOUT_S"),
        ("request_timeout_s", "inf", "finite"),
        ("keep_alive_s", "inf", "finite"),
        ("rate_limit_per_minute", "inf", "finite"),
        ("trusted_proxies", "10.0.0.1/8", "write 10.0.0.0/8 for all of it"),
        ("trusted_proxies", "127.0.0.1, nonsense", "'nonsense' is neither"),
        ("trusted_proxies", "*,127.0.0.1", "'*' is neither"),
        ("cors_origins", "https://a.example/", "write https://a.example"),
        ("cors_origins", "https://A.example", "write https://a.example"),
        ("cors_origins", "a.example", "write scheme and host"),
        ("cors_origins", "https://a.example/page", "write scheme and host"),
    ],
)
def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_proxies", "*"),
        ("trusted_proxies", ""),
        ("trusted_proxies", "10.0.0.0/8, 192.168.1.7,::1, fd00::/8,"),
        ("cors_origins", "*"),
        ("cors_origins", "http://localhost:5173,capacitor://localhost,null"),
    ],
)
def test_what_can_match_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(variable(name), value)
    load_settings()


def test_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELECTRA_API_KEYS", "secret-one,secret-two")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["secret-one", "secret-two"]
    assert "secret-one" not in repr(settings)
    monkeypatch.setenv("ELECTRA_ADMIN_KEY", "boss")
    monkeypatch.setenv("ELECTRA_ADMIN_KEY_FILE", "key.txt")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "boss" not in str(caught.value)


@pytest.mark.parametrize("name", ["api_keys", "admin_key"])
@pytest.mark.parametrize("value", ["", " ", ","])
def test_a_key_that_was_not_filled_in_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """An empty list of keys would let everybody in, an empty admin key whoever sends none."""
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(SettingsError, match=f"{variable(name)}: is empty; give a key, or unset it"):
        load_settings()
