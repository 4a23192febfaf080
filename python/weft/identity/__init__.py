"""Who is who: the certificate authority, and the tokens by which a workload proves which service account it runs as.

`authority` makes anchors and issuers, `files` reads an issuer that is there, `ca` signs leaves with it, `request` says
which requests it signs; `tokens` makes and verifies tokens, `bound` says whether their workload exists.
None knows gRPC.
"""
