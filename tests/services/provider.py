"""A provider of the tests' own that people sign in with: it speaks as GitHub does and OpenID Connect, and takes nothing
that is not exactly right. It lies where it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "rowcast of the tests", "s3cret: of + the/tests"
CODE_SECONDS = 60


@dataclass
class Person:
    """Somebody with an account there."""

    login: str
    number: int
    email: str | None = None
    verified: bool = True
    organisations: tuple[str, ...] = ()


@dataclass
class Grant:
    """What a code was given for."""

    person: Person
    redirect_uri: str
    challenge: str
    nonce: str | None
    made_at: float = field(default_factory=time.monotonic)


class StrictProvider:
    """On a free port. ``person`` is who sits at the browser and agrees to everything; None declines. ``lie`` is what is
    wrong with the next answers; ``refusals`` tells why something was refused."""

    def __init__(self, *redirect_uris: str, person: Person | None = None) -> None:
        self.redirect_uris = set(redirect_uris)
        self.person = person
        self.lie = ""
        self.refusals: list[str] = []
        self.codes: dict[str, Grant] = {}
        self.spent: set[str] = set()
        self.tokens: dict[str, Person] = {}
        self.asked: list[str] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = "first"
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> StrictProvider:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def honest(self) -> None:
        self.lie = ""
        self.refusals.clear()

    def change_key(self, key_id: str) -> None:
        self.key, self.key_id = rsa.generate_private_key(public_exponent=65537, key_size=2048), key_id

    # What it answers: a status, and an address to go to, JSON or bytes

    def authorize(self, query: dict[str, str]) -> tuple[int, object]:
        """Give a code for who agrees, to an address that was registered and to no other."""
        if query.get("client_id") != CLIENT_ID:
            return self._refuse("client_id")
        if query.get("redirect_uri") not in self.redirect_uris:
            return self._refuse("redirect_uri")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            return self._refuse("response_type or method")
        if len(query.get("code_challenge", "")) != 43 or len(query.get("state", "")) < 43:
            return self._refuse("code_challenge or state")
        said = {"state": query["state"]}
        if self.person is None:
            said |= {"error": "access_denied", "error_description": "the user has denied"}
        else:
            code = secrets.token_urlsafe(20)
            nonce = query.get("nonce")
            self.codes[code] = Grant(self.person, query["redirect_uri"], query["code_challenge"], nonce)
            said["code"] = code
        if query.get("scope", "").startswith("openid"):
            said["iss"] = "https://elsewhere.example" if self.lie == "answer of another" else self.url
        return 302, query["redirect_uri"] + "?" + urlencode(said)

    def token(self, form: dict[str, str], basic: str) -> tuple[int, object]:
        """Give a token for a code, once, to who asked for it."""
        if self.lie == "token refused":
            return 400, {"error": "invalid_grant"}
        known = (form.get("client_id"), form.get("client_secret"))
        if basic:
            pair = base64.b64decode(basic.partition(" ")[2]).decode().partition(":")
            known = (unquote_plus(pair[0]), unquote_plus(pair[2]))
        if known != (CLIENT_ID, CLIENT_SECRET) or (basic and "client_secret" in form):
            return self._refuse("client")
        code = form.get("code", "")
        if code in self.spent:
            return self._refuse("code replayed", "bad_verification_code")
        grant = self.codes.pop(code, None)
        self.spent.add(code)
        if grant is None or time.monotonic() - grant.made_at > CODE_SECONDS:
            return self._refuse("code", "bad_verification_code")
        if form.get("grant_type") != "authorization_code" or form.get("redirect_uri") != grant.redirect_uri:
            return self._refuse("redirect_uri of token", "redirect_uri_mismatch")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != grant.challenge:
            return self._refuse("code_verifier", "invalid_grant")
        token = secrets.token_urlsafe(20)
        self.tokens[token] = grant.person
        given = {"access_token": token, "token_type": "bearer", "scope": "user:email"}
        if grant.nonce is not None:
            given["id_token"] = self.id_token(grant)
        return 200, given

    def id_token(self, grant: Grant) -> str:
        now, person = int(time.time()), grant.person
        claims = {
            "iss": self.url,
            "sub": str(person.number),
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            "preferred_username": person.login,
        }
        if person.email and self.lie != "email elsewhere":
            claims |= {"email": person.email, "email_verified": person.verified}
        wrong = {
            "nonce": {"nonce": "another"},
            "no nonce": {"nonce": None},
            "aud": {"aud": "another client"},
            "azp": {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
            "no azp": {"aud": [CLIENT_ID, "another client"]},
            "iss": {"iss": "https://elsewhere.example"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "from the future": {"iat": now + 3600, "exp": now + 7200},
            "no exp": {"exp": None},
            "verified in words": {"email_verified": "true"},
            "long subject": {"sub": "9" * 300},
            "subject no text": {"sub": 7},
            "subject unprintable": {"sub": "7\x00"},
        }.get(self.lie, {})
        return self._signed({name: value for name, value in (claims | wrong).items() if value is not None})

    def _signed(self, claims: dict[str, object]) -> str:
        headers = {"kid": self.key_id}
        match self.lie:
            case "alg none":
                return jwt.encode(claims, None, algorithm="none", headers=headers)
            case "HS256 with the public key":
                public = self.key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
                return _hs256(claims, headers, public)
            case "HS256 with the secret":
                return _hs256(claims, headers, CLIENT_SECRET.encode())
            case "another key":
                other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                return jwt.encode(claims, other, algorithm="RS256", headers=headers)
            case "unknown key":
                return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "unknown"})
            case "changed":
                head, _, tail = jwt.encode(claims, self.key, algorithm="RS256", headers=headers).split(".")
                other = _part(claims | {"sub": "1"})
                return f"{head}.{other}.{tail}"
            case "no token":
                return "nonsense"
            case _:
                return jwt.encode(claims, self.key, algorithm="RS256", headers=headers)

    def description(self) -> dict[str, object]:
        return {
            "issuer": "https://elsewhere.example" if self.lie == "description of another" else self.url,
            "authorization_endpoint": f"{self.url}/login/oauth/authorize",
            "token_endpoint": f"{self.url}/login/oauth/access_token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        }

    def keys(self) -> dict[str, object]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": self.key_id, "use": "sig", "alg": "RS256"}, {"kty": "odd"}, "no key"]}

    def api(self, path: str, token: str) -> tuple[int, object]:
        person = self.tokens.get(token)
        if person is None:
            return 401, {"message": "Bad credentials"}
        match path.split("/")[1:]:
            case ["api", "user"]:
                return 200, {"id": person.number, "login": person.login, "email": "public@example.org"}
            case ["api", "user", "emails"]:
                other = {"email": "other@example.org", "primary": False, "verified": True}
                own = {"email": person.email, "primary": True, "verified": person.verified}
                return 200, [other, own] if person.email else [other]
            case ["api", "user", "memberships", "orgs", name] if name in person.organisations:
                state = "pending" if self.lie == "membership pending" else "active"
                return 200, {"state": state, "organization": {"login": name}}
            case ["userinfo"]:
                subject = "1" if self.lie == "info of another" else str(person.number)
                return 200, {"sub": subject, "email": person.email, "email_verified": person.verified}
            case _:
                return 404, {"message": "Not Found"}

    def _refuse(self, why: str, error: str = "invalid_request") -> tuple[int, object]:
        """As GitHub does: refusals of tokens have the status 200 too."""
        self.refusals.append(why)
        return (200 if error != "invalid_request" else 400), {"error": error}


def _hs256(claims: dict[str, object], headers: dict[str, str], key: bytes) -> str:
    import hmac

    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', **headers})}.{_part(claims)}"
    return f"{signed}.{_base64(hmac.digest(key, signed.encode(), 'sha256'))}"


def _part(content: dict[str, object]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class _Handler(BaseHTTPRequestHandler):
    provider: StrictProvider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        query = dict(parse_qsl(parts.query))
        match parts.path:
            case "/login/oauth/authorize":
                repeated = any(len(values) > 1 for values in parse_qs(parts.query).values())
                self.say(*(400, {}) if repeated else self.provider.authorize(query))
            case "/.well-known/openid-configuration":
                self.say(200, self.provider.description())
            case "/keys":
                self.say(200, self.provider.keys())
            case path:
                self.say(*self.provider.api(path, self.headers.get("Authorization", "").removeprefix("Bearer ")))

    def do_POST(self) -> None:
        self.provider.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path != "/login/oauth/access_token" or not self.trouble():
            self.say(*self.provider.token(dict(parse_qsl(body)), self.headers.get("Authorization", "")))

    def trouble(self) -> bool:
        """Answer as servers in trouble do."""
        match self.provider.lie:
            case "slow":
                self.provider.released.wait(60)
            case "broken":
                self.say(500, {"error": "server_error"})
            case "huge":
                self.say(200, {"access_token": "x" * 5_000_000})
            case "no JSON":
                self.say(200, b"<html>")
            case "deep":
                self.say(200, b"[" * 200_000)
            case "a list":
                self.say(200, [1, 2])
            case "elsewhere":
                self.say(302, f"{self.provider.url}/elsewhere")
            case "cut off":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.close_connection = True
            case "odd token":
                self.say(200, {"access_token": "line\r\nX: 1", "token_type": "bearer", "expires_in": "never"})
            case _:
                return False
        return True

    def say(self, status: int, content: object) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", str(content))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked does not wait for it
            self.close_connection = True

    def log_message(self, *nothing: object) -> None:
        pass
