"""Who is calling: principals, roles, API keys."""
