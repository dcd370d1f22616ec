"""Settings that are addresses: what is none is refused, without repeating it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rowcast.settings import Settings

PUBLIC = {"public_url": "https://rowcast.example.org"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "rowcast.example.org"),
        ("public_url", "https://rowcast.example.org/path"),
        ("public_url", "ftp://rowcast.example.org"),
        ("smtp_url", "mail.example.org:25"),
        ("smtp_url", "https://mail.example.org"),
        ("smtp_url", "smtp://s3cret@mail.example.org:port"),
        ("mail_from", "rowcast"),
        ("mail_from", "rowcast@example.org\r\nBcc: s3cret@example.org"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "10.0.0.1 10.0.0.2"),
        ("trusted_proxies", "proxy.example.org"),
        ("password_ranges_url", "ranges.example.org"),
        ("github_client_id", "without a secret"),
        ("github_api_url", "http://github.example.org"),
        ("oidc_issuer", "https://without-a-client.example.org"),
        ("oidc_scopes", "email"),
        ("sign_in", "github"),
        ("sign_up", "yes"),
        ("session_minutes", "0"),
    ],
)
def test_what_cannot_be_meant_is_refused(name, value):
    with pytest.raises(ValidationError) as caught:
        Settings(**PUBLIC | {name: value})
    [fault] = caught.value.errors(include_input=False, include_url=False, include_context=False)
    assert fault["loc"] == (name,)
    assert "s3cret" not in fault["msg"]


def test_letters_need_an_address_to_lead_to():
    with pytest.raises(ValidationError, match="ROWCAST_PUBLIC_URL"):
        Settings(smtp_url="smtp://mail.example.org")


def test_providers_are_asked_by_https_or_on_this_machine():
    client = {"oidc_client_id": "rowcast", "oidc_client_secret": "s3cret"}
    for issuer in ("https://login.example.org/", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"):
        settings = Settings(**client, oidc_issuer=issuer, sign_in="oidc")
        assert settings.oidc_issuer == issuer
        assert "s3cret" not in repr(settings)
    for issuer in ("http://login.example.org", "http://localhost.example.org", "login.example.org", "file:///etc"):
        with pytest.raises(ValidationError):
            Settings(**client, oidc_issuer=issuer)


def test_what_is_meant_is_taken():
    settings = Settings(
        public_url="https://rowcast.example.org/",
        smtp_url="smtps://app:s3cret@mail.example.org",
        trusted_proxies=" 10.0.0.1, 192.168.0.0/16,2001:db8::/32 ",
    )
    assert (settings.public_url, settings.secure) == ("https://rowcast.example.org", True)
    assert settings.sender == "rowcast@rowcast.example.org"
    assert settings.trusted_proxies == "10.0.0.1,192.168.0.0/16,2001:db8::/32"
    assert "s3cret" not in repr(settings)
    assert not Settings(public_url="http://10.0.0.1:8000").secure
    assert Settings(**PUBLIC, mail_from="Rowcast <a@b.org>").sender == "Rowcast <a@b.org>"


def test_secrets_are_read_from_files_of_their_names_below_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr("rowcast.settings.SECRETS", tmp_path / "nothing")
    assert Settings().api_key == ""
    (tmp_path / "rowcast_api_key").write_text("s3cret-of-a-file\n")
    (tmp_path / "rowcast_log_level").write_text("error")
    (tmp_path / "rabbitmq.conf").write_text("none of ours")
    monkeypatch.setattr("rowcast.settings.SECRETS", tmp_path)
    monkeypatch.setenv("ROWCAST_LOG_LEVEL", "debug")
    settings = Settings()
    assert (settings.api_key, settings.log_level) == ("s3cret-of-a-file", "debug")
    assert Settings(api_key="given").api_key == "given"
    assert "s3cret" not in repr(settings)
