"""The client that waits: made by scripts/generate_sync_client.py from ``rowcast.client.asynchronous``."""
