//! What an inbound port allows before the control plane has said anything, and where it has nothing to say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_core::model::{Authentication, Authorization, IdentitySuffix, InboundPolicy, InboundProtocol, Meta, Network};

use super::convert::every_request;
use crate::settings::{DefaultPolicy, Settings};

/// The answer for ports that have none yet: made once, shared by all of them.
#[derive(Clone, Debug)]
pub(crate) struct DefaultInbound {
    open: Made,
    /// For ports that take nobody without mesh TLS.
    encrypted: Made,
    /// For ports that take nobody without a proven identity.
    identified: Made,
    opaque_ports: BTreeSet<u16>,
    tls_ports: BTreeSet<u16>,
    identity_ports: BTreeSet<u16>,
}

/// One policy, for the two ways of looking at a connection.
#[derive(Clone, Debug)]
struct Made {
    detected: Arc<InboundPolicy>,
    opaque: Arc<InboundPolicy>,
}

impl DefaultInbound {
    pub(crate) fn new(settings: &Settings) -> Self {
        let policy = settings.inbound_default_policy;
        let allowed = authorization(policy, &settings.cluster_networks);
        let at_least = |least: Authentication| allowed.clone().map(|allowed| stricter(allowed, least));
        let timeout = settings.inbound_detect_timeout;
        DefaultInbound {
            encrypted: Made::new(policy, at_least(Authentication::TlsUnauthenticated), timeout),
            identified: Made::new(policy, at_least(anybody_identified()), timeout),
            open: Made::new(policy, allowed, timeout),
            opaque_ports: settings.inbound_opaque_ports.clone(),
            tls_ports: settings.inbound_tls_ports.clone(),
            identity_ports: settings.inbound_identity_ports.clone(),
        }
    }

    pub(crate) fn policy(&self, port: u16) -> Arc<InboundPolicy> {
        let made = match port {
            _ if self.identity_ports.contains(&port) => &self.identified,
            _ if self.tls_ports.contains(&port) => &self.encrypted,
            _ => &self.open,
        };
        if self.opaque_ports.contains(&port) { made.opaque.clone() } else { made.detected.clone() }
    }
}

impl Made {
    fn new(policy: DefaultPolicy, allowed: Option<Authorization>, timeout: Duration) -> Self {
        let make = |protocol| {
            let authorizations = allowed.clone().into_iter().map(Arc::new).collect();
            Arc::new(InboundPolicy { protocol, server: Meta::default_named(policy.name()), authorizations })
        };
        let detected = make(InboundProtocol::Detect { timeout, http: every_request("default") });
        Made { detected, opaque: make(InboundProtocol::Opaque) }
    }
}

/// The same networks, and of the two demands on the client the greater.
fn stricter(mut allowed: Authorization, least: Authentication) -> Authorization {
    let rank = |authentication: &Authentication| match authentication {
        Authentication::Unauthenticated => 0,
        Authentication::TlsUnauthenticated => 1,
        Authentication::TlsAuthenticated { .. } => 2,
    };
    if rank(&allowed.authentication) < rank(&least) {
        allowed.authentication = least;
    }
    allowed
}

fn anybody_identified() -> Authentication {
    Authentication::TlsAuthenticated { identities: Vec::new(), suffixes: vec![IdentitySuffix(Vec::new())] }
}

fn authorization(policy: DefaultPolicy, cluster: &BTreeSet<IpNet>) -> Option<Authorization> {
    let everywhere = || [Ipv4Net::default().into(), Ipv6Net::default().into()].into_iter().collect::<BTreeSet<IpNet>>();
    let (networks, authentication) = match policy {
        DefaultPolicy::AllUnauthenticated | DefaultPolicy::Audit => (everywhere(), Authentication::Unauthenticated),
        DefaultPolicy::AllAuthenticated => (everywhere(), anybody_identified()),
        DefaultPolicy::ClusterUnauthenticated => (cluster.clone(), Authentication::Unauthenticated),
        DefaultPolicy::ClusterAuthenticated => (cluster.clone(), anybody_identified()),
        DefaultPolicy::Deny => return None,
    };
    let networks = networks.into_iter().map(|net| Network { net, except: Vec::new() }).collect();
    Some(Authorization { meta: Meta::default_named(policy.name()), networks, authentication })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::settings::tests::least;

    /// Requirement: a port that requires TLS or an identity requires it before the control plane has spoken, and no port requires less
    /// than the default policy does.
    #[test]
    fn ports_may_require_more_than_the_default() {
        let made = |policy| {
            let mut environment: HashMap<_, _> = least();
            environment.insert("LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", policy);
            environment.insert("LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_TLS", "81,82,3306");
            environment.insert("LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY", "82");
            DefaultInbound::new(&Settings::read(|name| environment.get(name).map(ToString::to_string)).unwrap())
        };
        let demands = |made: &DefaultInbound, port| made.policy(port).authorizations.first().map(|a| a.authentication.clone());
        let open = made("all-unauthenticated");
        assert_eq!(demands(&open, 80), Some(Authentication::Unauthenticated));
        assert_eq!(demands(&open, 81), Some(Authentication::TlsUnauthenticated));
        assert_eq!(demands(&open, 82), Some(anybody_identified()));
        assert_eq!(demands(&open, 3306), Some(Authentication::TlsUnauthenticated));
        assert!(matches!(open.policy(3306).protocol, InboundProtocol::Opaque));
        assert_eq!(demands(&made("all-authenticated"), 81), Some(anybody_identified()));
        assert_eq!(demands(&made("deny"), 82), None);
    }
}
