"""Who is who: the certificate authority, and the tokens by which a workload proves which service account it runs as.

`ca` makes and loads anchors and issuer and signs leaves, `tokens` makes and verifies tokens. Neither knows gRPC.
"""
