"""gRPC: services over the same use cases as REST, on a port of their own."""
