"""The client for asyncio. ``rowcast.client.synchronous`` is generated from it: scripts/generate_sync_client.py."""
