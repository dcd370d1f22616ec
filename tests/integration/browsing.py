"""A browser as the server sees it: cookies, the headers that browsers send, and forms as the pages have them."""

from __future__ import annotations

import html
import re
from itertools import count

import httpx2

_addresses = count(1)


class Browser:
    """Somebody at an address of their own, which a proxy passes on. Redirects are not followed."""

    def __init__(self, url, *, language="en", address=None, origin=None, **headers):
        number = next(_addresses)
        given = {
            "Origin": origin or url,
            "Accept-Language": language,
            "X-Forwarded-For": address or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        }
        self.url = url
        once = httpx2.Limits(max_keepalive_connections=0)  # nothing is left open when a test forgets its browser
        self.http = httpx2.Client(base_url=url, headers=given | headers, timeout=60, verify=False, limits=once)

    def get(self, path, **options):
        return self.http.get(path, **options)

    def post(self, path, headers=None, **form):
        return self.http.post(path, data=form, headers=headers)

    def fill_in(self, path, **form):
        """Open the page, fill its first form of our own in, and send it with its hidden fields."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        form_html = re.search(r"<main.*?<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page.text, re.DOTALL)
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form_html[2])
        return self.post(form_html[1], **{name: html.unescape(value) for name, value in hidden} | form)

    def sign_in(self, name, password, next="/"):
        return self.fill_in(f"/sign-in?next={next}", name=name, password=password)

    @property
    def token(self):
        return self.http.cookies.get("rowcast_session")

    @property
    def who(self):
        """The name of who is signed in, as the API tells it."""
        answer = self.get("/api/v1/account")
        return answer.json()["name"] if answer.status_code == 200 else None


def said(page):
    """What a page says went wrong or well."""
    found = re.search(r'class="(?:error|notice)"[^>]*>(.*?)</p>', page.text, re.DOTALL)
    return html.unescape(found[1]) if found else None
