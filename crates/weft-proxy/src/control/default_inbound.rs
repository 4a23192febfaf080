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
    detected: Arc<InboundPolicy>,
    opaque: Arc<InboundPolicy>,
    opaque_ports: BTreeSet<u16>,
}

impl DefaultInbound {
    pub(crate) fn new(settings: &Settings) -> Self {
        let policy = settings.inbound_default_policy;
        let make = |protocol| {
            Arc::new(InboundPolicy {
                protocol,
                server: Meta::default_named(policy.name()),
                authorizations: authorization(policy, &settings.cluster_networks).into_iter().map(Arc::new).collect(),
            })
        };
        let timeout: Duration = settings.inbound_detect_timeout;
        DefaultInbound {
            detected: make(InboundProtocol::Detect { timeout, http: every_request("default") }),
            opaque: make(InboundProtocol::Opaque),
            opaque_ports: settings.inbound_opaque_ports.clone(),
        }
    }

    pub(crate) fn policy(&self, port: u16) -> Arc<InboundPolicy> {
        if self.opaque_ports.contains(&port) { self.opaque.clone() } else { self.detected.clone() }
    }
}

fn authorization(policy: DefaultPolicy, cluster: &BTreeSet<IpNet>) -> Option<Authorization> {
    let everywhere = || [Ipv4Net::default().into(), Ipv6Net::default().into()].into_iter().collect::<BTreeSet<IpNet>>();
    let anybody_identified = || Authentication::TlsAuthenticated { identities: Vec::new(), suffixes: vec![IdentitySuffix(Vec::new())] };
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
