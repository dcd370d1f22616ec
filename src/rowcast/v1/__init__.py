"""Rowcast on the wire of gRPC, version 1: made of proto/rowcast/v1 by scripts/generate_protos.py; and data as such
messages."""
