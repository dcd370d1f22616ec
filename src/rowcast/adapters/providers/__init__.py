"""Servers that people sign in with: GitHub, and whatever speaks OpenID Connect."""
