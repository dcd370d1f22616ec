"""Monitoring: the receipt of every prediction, kept before it is answered, found again, and replayed."""
