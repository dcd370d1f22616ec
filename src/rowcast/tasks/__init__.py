"""Durable work: submit, claim, run, settle, recover."""
