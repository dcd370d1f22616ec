"""The parts that people sign in with, each made of the settings. The stack that a part is given closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from rowcast.accounts.passwords import Passwords
    from rowcast.accounts.providers import Provider
    from rowcast.adapters.mail.smtp import SmtpMail
    from rowcast.settings import Settings


def passwords_of(settings: Settings, stack: ExitStack) -> Passwords:
    """What hashes passwords; new ones are looked up among published ones where the settings say so."""
    from rowcast.accounts.passwords import Passwords
    from rowcast.adapters.breaches.ranges import RangeApi

    url = settings.password_ranges_url
    passwords = Passwords(RangeApi(url) if url else None)
    stack.callback(passwords.close)
    return passwords


def providers_of(settings: Settings) -> Iterator[Provider]:
    """What people can sign in with, as far as it is set."""
    from rowcast.settings import is_safe

    if settings.github_client_id:
        from rowcast.adapters.providers.code import Registration
        from rowcast.adapters.providers.github import GitHub

        yield GitHub(
            Registration(settings.github_client_id, settings.github_client_secret),
            authorize_url=settings.github_authorize_url,
            token_url=settings.github_token_url,
            api_url=settings.github_api_url,
            organisations=[each.strip() for each in settings.github_organisations.split(",") if each.strip()],
        )
    if settings.oidc_issuer:
        from rowcast.adapters.providers.code import Registration
        from rowcast.adapters.providers.oidc import OpenIdProvider

        yield OpenIdProvider(
            Registration(settings.oidc_client_id, settings.oidc_client_secret),
            issuer=settings.oidc_issuer,
            title=settings.oidc_name or str(urlsplit(settings.oidc_issuer).hostname),
            scopes=settings.oidc_scopes,
            may_be_asked=is_safe,
        )


def mail_of(settings: Settings, stack: ExitStack) -> SmtpMail | None:
    """What sends letters, at work; None where no mail server is set."""
    from rowcast.adapters.mail.smtp import Address, SmtpMail

    if not settings.smtp_url:
        return None
    mail = SmtpMail(Address.of(settings.smtp_url), settings.sender)
    mail.start()
    stack.callback(mail.close)
    return mail
