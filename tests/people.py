"""People on a running server: accounts made by its administrator, each with a password and a key of its own."""

from __future__ import annotations

import httpx2

BROWSER = {"X-Rowcast-Client": "a test"}
PASSWORD = "seven wooden lamps 41"


def join(url: str, admin_key: str, name: str, role: str) -> str:
    """A new account of that role, which chose the password; its key."""
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=60) as http:
        boss = {"Authorization": f"Bearer {admin_key}"}
        made = http.post("/users", json={"name": name, "role": role}, headers=boss).raise_for_status().json()
        token = made["link"]["url"].partition("token=")[2]
        http.put("/password-reset", json={"token": token, "password": PASSWORD}, headers=BROWSER).raise_for_status()
        key: str = http.post("/keys", json={"name": "a test"}, headers=BROWSER).raise_for_status().json()["key"]
        return key
