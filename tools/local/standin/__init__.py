"""A stand-in for Cloudflare RealtimeKit, and an OIDC issuer, for this machine alone (docs/stand-in.md)."""
