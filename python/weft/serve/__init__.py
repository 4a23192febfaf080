"""The control plane's gRPC services and its admin port. `plane.running` starts all of it; `encode` and `ask` know the wire."""
