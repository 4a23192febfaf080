//! Who a peer is.
//!
//! Decides whether a name is a well-formed mesh identity (DNS-like `sa.ns.serviceaccount.identity.cp-ns.trust-domain`, or a SPIFFE
//! URI). It never looks at a certificate: `tls/` reads the name out of one that was already verified.

use std::fmt;
use std::sync::Arc;

/// A proven or demanded name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// Lower case, without a trailing dot.
    Dns(Arc<str>),
    /// `spiffe://trust-domain/path`, compared exactly.
    Uri(Arc<str>),
}

/// A name that is no identity, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidIdentity(pub &'static str);

impl Identity {
    /// Parses either form. Errors name the rule that was broken (RFC 1035 label rules; SPIFFE-ID section 2).
    pub fn parse(name: &str) -> Result<Self, InvalidIdentity> {
        if name.contains("://") {
            return Self::parse_uri(name);
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(InvalidIdentity("the name is empty"));
        }
        if name.len() > 253 {
            return Err(InvalidIdentity("the name is longer than 253 bytes"));
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > 63 {
                return Err(InvalidIdentity("a label is empty or longer than 63 bytes"));
            }
            if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(InvalidIdentity("a label holds something else than letters, digits, hyphens and underscores"));
            }
        }
        Ok(Identity::Dns(name.to_ascii_lowercase().into()))
    }

    fn parse_uri(uri: &str) -> Result<Self, InvalidIdentity> {
        let rest = uri.strip_prefix("spiffe://").ok_or(InvalidIdentity("the scheme is not spiffe"))?;
        let domain = rest.split('/').next().unwrap_or_default();
        if domain.is_empty() {
            return Err(InvalidIdentity("the trust domain is empty"));
        }
        if uri.len() > 2048 {
            return Err(InvalidIdentity("the URI is longer than 2048 bytes"));
        }
        if uri.bytes().any(|b| b <= b' ' || b == b'?' || b == b'#' || b >= 0x7f) {
            return Err(InvalidIdentity("the URI holds a query, a fragment or a character that is not allowed"));
        }
        Ok(Identity::Uri(uri.into()))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Identity::Dns(name) | Identity::Uri(name) => name,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The client of an inbound connection, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Mesh TLS with a client certificate.
    Identified(Identity),
    /// Mesh TLS without one (a proxy that has none yet).
    TlsAnonymous,
    /// No mesh TLS.
    Plaintext,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Identified(identity) => identity.fmt(f),
            Client::TlsAnonymous => f.write_str("mesh TLS without an identity"),
            Client::Plaintext => f.write_str("plaintext"),
        }
    }
}
