"""The Open Inference Protocol V2 on the wire of gRPC: made of proto/rowcast/inference by scripts/generate_protos.py."""
