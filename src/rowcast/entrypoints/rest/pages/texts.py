"""The words of the pages and letters, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping

from rowcast.errors import RowcastError

ENGLISH, RUSSIAN = "en", "ru"
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", RUSSIAN: "Русский"}
"""By what browsers call them, as their speakers do."""

WORDS: Mapping[str, tuple[str, str]] = {
    "absent": ("There is no such page", "Такой страницы нет"),
    "absent_home": ("To the first page", "На главную"),
    "absent_text": (
        "Nothing is at this address. Check it for a slip of the pen, or begin at the first page.",
        "По этому адресу ничего нет. Проверьте, нет ли в нём ошибки, или начните с главной страницы.",
    ),
    "account": ("Your account", "Ваша учётная запись"),
    "api_docs": ("API documentation", "Документация API"),
    "ask_administrator": (
        "This server sends no mail. Ask an administrator for a link to set a new password.",
        "Этот сервер не отправляет писем. Попросите у администратора ссылку для нового пароля.",
    ),
    "back_to_sign_in": ("Back to sign in", "Вернуться ко входу"),
    "change_email": ("Send a link to confirm it", "Отправить ссылку для подтверждения"),
    "change_password": ("Change the password", "Сменить пароль"),
    "choose_password": ("Choose a password", "Придумайте пароль"),
    "confirm": ("Confirm the address", "Подтвердить адрес"),
    "confirm_text": ("Confirm that this address is yours:", "Подтвердите, что это ваш адрес:"),
    "current_password": ("Current password", "Текущий пароль"),
    "done_email": ("The e-mail address is confirmed.", "Адрес электронной почты подтверждён."),
    "done_email_asked": (
        "A letter with a link is on its way to that address. Follow the link to confirm it.",
        "На этот адрес отправлено письмо со ссылкой. Перейдите по ней, чтобы подтвердить адрес.",
    ),
    "done_password": (
        "The password is changed, and all other sessions are ended.",
        "Пароль изменён, все остальные сеансы завершены.",
    ),
    "done_linked": (
        "The account is linked. You can sign in with it from now on.",
        "Учётная запись привязана. Теперь можно входить и через неё.",
    ),
    "done_unlinked": ("The account is no longer linked.", "Учётная запись больше не привязана."),
    "done_session": ("The session is ended.", "Сеанс завершён."),
    "done_signed_out": ("You are signed out.", "Вы вышли."),
    "email": ("E-mail address", "Адрес электронной почты"),
    "email_short": ("E-mail", "Почта"),
    "email_hint": (
        "For a new password, should you forget yours. It counts once you have followed the link in a letter.",
        "Понадобится, если вы забудете пароль. Адрес действует после перехода по ссылке из письма.",
    ),
    "email_none": ("none", "не указана"),
    "end": ("End", "Завершить"),
    "error_title": ("This did not work", "Не получилось"),
    "first_seen": ("Signed in", "Вход"),
    "forgot": ("Forgot your password?", "Забыли пароль?"),
    "forgot_sent": (
        "If there is such an account with a confirmed e-mail address, a letter with a link is on its way.",
        "Если такая учётная запись есть и её адрес подтверждён, на него отправлено письмо со ссылкой.",
    ),
    "forgot_text": (
        "You get a letter with a link to set a new password.",
        "Вы получите письмо со ссылкой для нового пароля.",
    ),
    "have_account": ("You have an account? Sign in", "Уже есть учётная запись? Войти"),
    "identities": ("Other ways to sign in", "Другие способы входа"),
    "identities_hint": (
        "Accounts elsewhere that you can sign in with, instead of a name and password.",
        "Учётные записи в других местах, через которые можно войти вместо имени и пароля.",
    ),
    "invitation": ("Open your account", "Создание учётной записи"),
    "invited": ("You are invited to Rowcast.", "Вас пригласили в Rowcast."),
    "language_label": ("Language", "Язык"),
    "last_seen": ("Last seen", "Активность"),
    "leave": ("On to {provider}", "Переход в {provider}"),
    "leave_button": ("Go on to {provider}", "Перейти в {provider}"),
    "link": ("Sign in", "Вход по ссылке"),
    "link_button": ("Sign in as {name}", "Войти как {name}"),
    "link_provider": ("Link {provider}", "Привязать {provider}"),
    "link_text": ("This link signs you in, once.", "По этой ссылке можно войти один раз."),
    "name": ("Name", "Имя"),
    "name_or_email": ("Name or e-mail address", "Имя или адрес почты"),
    "new_password": ("New password", "Новый пароль"),
    "no_account": ("No account yet? Open one", "Нет учётной записи? Создать"),
    "or": ("or", "или"),
    "password": ("Password", "Пароль"),
    "password_hint": (
        "At least 10 characters. A few words that have nothing to do with each other are good.",
        "Не короче 10 знаков. Хорошо подходят несколько слов, никак не связанных друг с другом.",
    ),
    "reset": ("New password", "Новый пароль"),
    "role": ("Role", "Роль"),
    "role_admin": ("administrator", "администратор"),
    "role_analyst": ("analyst", "аналитик"),
    "role_user": ("user", "пользователь"),
    "send": ("Send the letter", "Отправить письмо"),
    "sessions": ("Where you are signed in", "Где вы вошли"),
    "sessions_hint": (
        "A session ends by itself after {minutes} minutes without use. End those that you do not know, then change "
        "your password.",
        "Сеанс завершается сам через {minutes} мин бездействия. Завершите незнакомые сеансы и смените пароль.",
    ),
    "set_password": ("Set the password", "Задать пароль"),
    "sign_in": ("Sign in", "Войти"),
    "sign_in_with": ("Sign in with {provider}", "Войти через {provider}"),
    "sign_out": ("Sign out", "Выйти"),
    "sign_up": ("Open an account", "Создать учётную запись"),
    "skip": ("To the content", "К содержимому"),
    "this_session": ("this one", "этот"),
    "unlink": ("Unlink", "Отвязать"),
    "unknown_browser": ("Unknown program", "Неизвестная программа"),
}
"""Each in English and in Russian."""

RUSSIAN_ERRORS: Mapping[str, str] = {
    "account_blocked": "Эта учётная запись заблокирована. Обратитесь к администратору.",
    "body_too_large": "Запрос слишком велик.",
    "cross_site": "Запрос пришёл не с этого сайта и потому отклонён. Откройте страницу заново и повторите.",
    "email_unconfirmed": "Учётная запись с этим адресом уже есть. Войдите в неё и привяжите {provider} на её странице.",
    "email_unverified": "{provider} не подтверждает вашего адреса почты. Подтвердите его там и вернитесь.",
    "email_invalid": "Это не адрес электронной почты, такой как anna@example.org.",
    "email_taken": "Учётная запись с этим адресом уже есть.",
    "form_invalid": "Форму не удалось прочитать. Откройте страницу заново.",
    "identity_doubtful": "{provider} не подтверждает со всей определённостью, кто вы. Начните заново; если не "
    "поможет, обратитесь к администратору.",
    "identity_not_found": "Это не привязано к вашей учётной записи.",
    "identity_taken": "Эта учётная запись {provider} привязана к другой. Войдите через неё и отвяжите её там.",
    "invitation_needed": "Учётная запись создаётся по приглашению. Попросите его у администратора.",
    "last_way_in": "Вы больше не смогли бы войти. Сначала придумайте пароль.",
    "link_expired": "Эта ссылка устарела. Попросите новую.",
    "link_of_another": "Об этом попросила другая учётная запись. Сначала войдите в неё.",
    "link_unknown": "Такой ссылки нет. Проверьте, что адрес скопирован целиком, или попросите новую.",
    "link_used": "Этой ссылкой уже воспользовались. Попросите новую.",
    "mail_missing": "Этот сервер не отправляет писем. Попросите ссылку у администратора.",
    "organisation_foreign": "Войти могут лишь участники определённых организаций GitHub. Обратитесь к администратору.",
    "password_breached": "Этот пароль есть в опубликованных списках украденных. Возьмите другой, здесь и всюду.",
    "password_guessable": "Этот пароль легко угадать. Возьмите несколько слов, никак не связанных друг с другом.",
    "password_long": "В пароле может быть не больше 200 знаков.",
    "password_short": "В пароле должно быть не меньше 10 знаков.",
    "password_wrong": "Текущий пароль неверен.",
    "provider_failed": "{provider} не отвечает как следует. Попробуйте через минуту или войдите иначе.",
    "provider_unknown": "Так здесь не входят. Выберите другой способ на странице входа.",
    "session_ended": "Вы больше не вошли. Войдите снова.",
    "session_not_found": "Такого сеанса нет: возможно, он завершился сам.",
    "sign_in_busy": "Сейчас входит очень много людей. Попробуйте через минуту.",
    "sign_in_declined": "Вы не разрешили {provider} сообщить, кто вы. Начните заново или войдите иначе.",
    "sign_in_not_begun": "Вход начат в другом браузере, занял слишком много времени или уже завершён. Начните заново.",
    "sign_in_refused": "Имя или пароль неверны.",
    "sign_up_closed": "Учётные записи здесь создаёт администратор. Обратитесь к нему.",
    "too_many_attempts": "Слишком много попыток. Подождите {retry_after} с и попробуйте снова.",
    "user_name_invalid": "В имени от 1 до 100 букв, цифр, пробелов и других знаков, кроме @ и /.",
    "user_name_mixed": "В имени буквы и цифры одного алфавита: знаки разных бывают неотличимы на вид.",
    "user_name_taken": "Это имя занято. Выберите другое.",
}
"""By code; the others are said in English."""


class Texts:
    """The words in one language: ``texts.sign_in`` or ``texts("link_button", name=...)``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = list(LANGUAGES).index(language)

    def __getattr__(self, key: str) -> str:
        try:
            return WORDS[key][self._column]
        except KeyError:
            raise AttributeError(key) from None

    def __call__(self, key: str, **values: object) -> str:
        return WORDS[key][self._column].format(**values)

    def error(self, error: RowcastError) -> str:
        """What went wrong and what to do."""
        said = RUSSIAN_ERRORS.get(error.code) if self.language == RUSSIAN else None
        return said.format(**error.details) if said else error.message
