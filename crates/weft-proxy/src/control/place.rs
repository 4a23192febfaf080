//! Where a service of the control plane is: an address, or a name.
//!
//! A name is resolved for every new connection, by the resolver of the system (hosts file, search domains, A and AAAA records). Nothing
//! is remembered here: connections are few, and a control plane that moved must be found again. Whoever connects tries the addresses in
//! their order.

use std::fmt;
use std::io;
use std::net::SocketAddr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Address(SocketAddr),
    Name { host: String, port: u16 },
}

impl Place {
    /// Whether it is certain to be on this machine. A name is not, whatever it resolves to today.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(self, Place::Address(addr) if addr.ip().is_loopback())
    }

    /// Its addresses, at least one.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Place::Address(addr) => Ok(vec![*addr]),
            Place::Name { host, port } => {
                let found: Vec<_> = tokio::net::lookup_host((host.as_str(), *port))
                    .await
                    .map_err(|error| io::Error::new(error.kind(), format!("{host} cannot be resolved: {error}")))?
                    .collect();
                if found.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))) } else { Ok(found) }
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(addr) => addr.fmt(f),
            Place::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: a name is resolved, an address is itself, and only a literal loopback address counts as one.
    #[tokio::test]
    async fn names_are_resolved() {
        let name = Place::Name { host: "localhost".into(), port: 80 };
        assert!(name.resolve().await.unwrap().iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80));
        assert!(!name.is_loopback());
        let address = Place::Address("127.0.0.1:1".parse().unwrap());
        assert!(address.is_loopback());
        assert_eq!(address.resolve().await.unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        let why = Place::Name { host: "nowhere.invalid.".into(), port: 1 }.resolve().await.unwrap_err().to_string();
        assert!(why.contains("nowhere.invalid."), "{why}");
    }
}
