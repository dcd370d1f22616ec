"""Letters, in the language of who gets them."""

from __future__ import annotations

from collections.abc import Mapping

from rowcast.accounts.access import Letter, LetterKind
from rowcast.accounts.links import Purpose
from rowcast.entrypoints.rest.pages.texts import ENGLISH, RUSSIAN
from rowcast.entrypoints.services import Services

PATHS: Mapping[Purpose, str] = {
    Purpose.INVITATION: "/invitation",
    Purpose.RESET: "/reset",
    Purpose.EMAIL: "/confirm",
    Purpose.SIGN_IN: "/link",
}
"""Where a link of each purpose leads."""

_PURPOSES: Mapping[LetterKind, Purpose] = {
    LetterKind.RESET: Purpose.RESET,
    LetterKind.EMAIL: Purpose.EMAIL,
    LetterKind.INVITATION: Purpose.INVITATION,
}

_LETTERS: Mapping[tuple[LetterKind, str], tuple[str, str]] = {
    (LetterKind.RESET, ENGLISH): (
        "Rowcast: set a new password",
        "Hello {name},\n\nset a new password here, within an hour:\n\n{link}\n\n"
        "If you did not ask for this, do nothing: your password stays as it is.\n",
    ),
    (LetterKind.RESET, RUSSIAN): (
        "Rowcast: новый пароль",
        "Здравствуйте, {name}!\n\nЗадайте новый пароль в течение часа:\n\n{link}\n\n"
        "Если вы этого не просили, ничего не делайте: пароль останется прежним.\n",
    ),
    (LetterKind.EMAIL, ENGLISH): (
        "Rowcast: confirm your e-mail address",
        "Hello {name},\n\nconfirm this address here, within a day:\n\n{link}\n\nIf you do not know what this is about, "
        "do nothing.\n",
    ),
    (LetterKind.EMAIL, RUSSIAN): (
        "Rowcast: подтвердите адрес",
        "Здравствуйте, {name}!\n\nПодтвердите этот адрес в течение суток:\n\n{link}\n\nЕсли вы не знаете, о чём речь, "
        "ничего не делайте.\n",
    ),
    (LetterKind.KNOWN, ENGLISH): (
        "Rowcast: you have an account already",
        "Hello,\n\nsomebody gave this address for an account, but there is one with it already. Sign in with that, or "
        "set a new password:\n\n{link}\n\nIf it was not you, do nothing.\n",
    ),
    (LetterKind.KNOWN, RUSSIAN): (
        "Rowcast: у вас уже есть учётная запись",
        "Здравствуйте!\n\nКто-то указал этот адрес для учётной записи, но с ним одна уже есть. Войдите в неё или "
        "задайте новый пароль:\n\n{link}\n\nЕсли это были не вы, ничего не делайте.\n",
    ),
    (LetterKind.INVITATION, ENGLISH): (
        "Rowcast: you are invited",
        "Hello,\n\nyou are invited to Rowcast. Open your account here:\n\n{link}\n",
    ),
    (LetterKind.INVITATION, RUSSIAN): (
        "Rowcast: приглашение",
        "Здравствуйте!\n\nВас пригласили в Rowcast. Создайте свою учётную запись:\n\n{link}\n",
    ),
}


def link_address(base: str, purpose: Purpose, secret: str) -> str:
    """The address of a link: ``base`` is the server's."""
    return f"{base}{PATHS[purpose]}?token={secret}"


def post(services: Services, letter: Letter) -> None:
    """Send a letter, where the server sends any. Returns at once."""
    if services.mail is None:
        return
    base = services.settings.public_url
    purpose = _PURPOSES.get(letter.kind)
    link = link_address(base, purpose, letter.secret) if purpose else f"{base}/forgot"
    language = RUSSIAN if letter.language == RUSSIAN else ENGLISH
    subject, text = _LETTERS[letter.kind, language]
    services.mail.send(letter.email, subject, text.format(name=letter.name, link=link))
