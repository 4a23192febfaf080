"""Wire types generated from `proto/` by `make generate`. Do not edit."""
