"""The control plane's gRPC services and its admin port. `plane.running` starts all of it.

`encode` and `ask` are the only modules that know the wire types.
"""
