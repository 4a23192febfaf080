//! What the process is told when it starts.
//!
//! One table of definitions (variable, meaning, default, parser) makes the parser and `weft-proxy --settings`, so they cannot disagree. Every value
//! is read once, checked, and never changes; a wrong one is reported with all the others that are wrong, and the proxy does not start.
//! What Linkerd's proxy would read and this one does not is `known`'s; `reference` writes the page that users read.
//! It never reads the environment itself: the caller hands over a function, so that tests hand over a map.

mod check;
mod known;
mod parse;
mod reference;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
#[path = "../../../fuzz/checks/settings.rs"]
mod fuzzed;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rustls_pki_types::ServerName;
use weft_core::identity::Identity;

use self::parse::*;
use crate::control::place::Place;

pub(crate) use self::known::warnings;
pub(crate) use self::reference::page;

/// One variable: what `--settings` shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    /// As it would be written; empty: none.
    pub(crate) default: &'static str,
}

/// A value that cannot be used: which, what it was and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    /// `None`: it is not set.
    pub(crate) value: Option<String>,
    pub(crate) allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value:?}: must be {}", self.name, self.allowed),
            None => write!(f, "{} is not set: must be {}", self.name, self.allowed),
        }
    }
}

macro_rules! settings {
    ($($(#[doc = $meaning:literal])+ $field:ident: $kind:ty = $name:literal, $default:literal, $parse:expr;)+) => {
        /// Everything the process was told.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings { $($(#[doc = $meaning])+ pub(crate) $field: $kind,)+ }

        /// Every variable that is read, in the order of `--settings`.
        pub(crate) const DEFINITIONS: &[Definition] =
            &[$(Definition { name: $name, meaning: concat!($($meaning),+), default: $default },)+];

        impl Settings {
            /// Reads every variable; errors are all of them, not the first.
            pub(crate) fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
                let mut problems = Vec::new();
                $(let $field = value($name, $default, &environment, $parse, &mut problems);)+
                if let ($(Some($field),)+) = ($($field,)+) {
                    let settings = Settings { $($field,)+ };
                    settings.check(&mut problems);
                    if problems.is_empty() { return Ok(settings) }
                }
                Err(problems)
            }
        }
    };
}

settings! {
    /// Where the application's outgoing connections are redirected to.
    outbound_listen: SocketAddr = "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR", "127.0.0.1:4140", address;
    /// The same for several addresses, one of each IP version, in place of the single one.
    outbound_listen_addrs: Vec<SocketAddr> = "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "", addresses;
    /// Where incoming connections are redirected to; [::] takes those of IPv4 as well.
    inbound_listen: SocketAddr = "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "0.0.0.0:4143", address;
    /// Outgoing connections that may wait in the kernel to be accepted, for each worker.
    outbound_backlog: i32 = "LINKERD2_PROXY_OUTBOUND_TCP_LISTEN_BACKLOG", "4096", backlog;
    /// Incoming connections that may wait in the kernel to be accepted, for each worker.
    inbound_backlog: i32 = "LINKERD2_PROXY_INBOUND_TCP_LISTEN_BACKLOG", "4096", backlog;
    /// Where metrics and readiness are served.
    admin_listen: SocketAddr = "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "0.0.0.0:4191", address;

    /// The control plane's destination service. A name is resolved anew for each connection.
    destination_addr: Place = "LINKERD2_PROXY_DESTINATION_SVC_ADDR", "", place;
    /// The identity that it must prove; not needed on a loopback address, which is spoken to in plaintext.
    destination_name: Option<ServerName<'static>> = "LINKERD2_PROXY_DESTINATION_SVC_NAME", "", optional(server_name);
    /// The control plane's policy service.
    policy_addr: Place = "LINKERD2_PROXY_POLICY_SVC_ADDR", "", place;
    /// The identity that it must prove.
    policy_name: Option<ServerName<'static>> = "LINKERD2_PROXY_POLICY_SVC_NAME", "", optional(server_name);
    /// The control plane's identity service.
    identity_addr: Place = "LINKERD2_PROXY_IDENTITY_SVC_ADDR", "", place;
    /// The identity that it must prove.
    identity_name: Option<ServerName<'static>> = "LINKERD2_PROXY_IDENTITY_SVC_NAME", "", optional(server_name);
    /// Who asks for policies, as the control plane knows it: a JSON object such as {"ns":"default","pod":"voting-0"}.
    policy_workload: String = "LINKERD2_PROXY_POLICY_WORKLOAD", "", text;
    /// Who asks for endpoints; the same with nodeName.
    destination_context: String = "LINKERD2_PROXY_DESTINATION_CONTEXT", "", any_text;
    /// How long the control plane may take to begin an answer before the question is asked again.
    control_initial_timeout: Duration = "LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT", "3s", duration;
    /// How long a control stream may be silent before the question is asked again.
    control_idle_timeout: Duration = "LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT", "5m", duration;
    /// How long a control stream lives before the question is asked again.
    control_lifetime: Duration = "LINKERD2_PROXY_CONTROL_STREAM_LIFETIME", "1h", duration;

    /// This workload's identity.
    identity_local_name: Identity = "LINKERD2_PROXY_IDENTITY_LOCAL_NAME", "", dns_identity;
    /// The file with the token that proves it to the identity service; read for every request.
    identity_token_file: PathBuf = "LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "", path;
    /// The trust anchors as PEM text.
    identity_trust_anchors: Option<String> = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "", optional(text);
    /// A PEM file with the trust anchors, watched; used in place of the text.
    identity_trust_anchors_file: Option<PathBuf> = "WEFT_PROXY_IDENTITY_TRUST_ANCHORS_FILE", "", optional(path);
    /// The least time between two renewals of the certificate.
    identity_min_refresh: Duration = "LINKERD2_PROXY_IDENTITY_MIN_REFRESH", "10s", duration;
    /// The most time between two renewals of the certificate.
    identity_max_refresh: Duration = "LINKERD2_PROXY_IDENTITY_MAX_REFRESH", "24h", duration;

    /// The workload's own addresses: an application that refuses at one family is looked for at the other.
    inbound_ips: BTreeSet<IpAddr> = "LINKERD2_PROXY_INBOUND_IPS", "", list(ip);
    /// The workload's ports, whose policies are asked for at once; others when they are first used.
    inbound_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS", "", list(port);
    /// What an inbound port allows until the control plane has answered.
    inbound_default_policy: DefaultPolicy = "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", "all-unauthenticated", default_policy;
    /// Inbound ports that are not looked into until the control plane says otherwise: the server speaks first there.
    inbound_opaque_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "25,587,3306,4444,5432,6379,9300,11211", list(port);
    /// Inbound ports that nobody may use without a proven identity until the control plane says otherwise.
    inbound_identity_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY", "", list(port);
    /// Inbound ports that nobody may use without mesh TLS until the control plane says otherwise.
    inbound_tls_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_TLS", "", list(port);
    /// The networks that the cluster-* default policies admit.
    cluster_networks: BTreeSet<IpNet> = "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS", "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,198.18.0.0/15,fd00::/8", list(network);

    /// How long an inbound connection may take to show its protocol before it counts as opaque.
    inbound_detect_timeout: Duration = "LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT", "10s", duration;
    /// How long an outbound connection may take to show its protocol, where the control plane does not say.
    outbound_detect_timeout: Duration = "LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT", "10s", duration;
    /// How long connecting to the application may take.
    inbound_connect_timeout: Duration = "LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT", "300ms", duration;
    /// How long connecting to another workload may take.
    outbound_connect_timeout: Duration = "LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT", "1s", duration;
    /// The shortest pause before an endpoint that refused a connection is tried again.
    outbound_backoff_min: Duration = "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MIN", "100ms", duration;
    /// The longest pause before an endpoint that refused a connection is tried again.
    outbound_backoff_max: Duration = "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MAX", "60s", duration;
    /// The part of the pause, 0 to 1, that is left to chance.
    outbound_backoff_jitter: f64 = "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_JITTER", "0.1", ratio;
    /// How long an unused destination is remembered while the control plane can be reached.
    outbound_discovery_idle: Duration = "LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT", "10m", duration;
    /// How long an unused inbound port is remembered while the control plane can be reached.
    inbound_discovery_idle: Duration = "LINKERD2_PROXY_INBOUND_DISCOVERY_IDLE_TIMEOUT", "10m", duration;
    /// Whether a request's header l5d-dst-override names where it goes, in place of the address it was sent to: for ingress controllers.
    ingress: bool = "LINKERD2_PROXY_INGRESS_MODE", "false", flag;
    /// Inbound requests in flight beyond which more are refused.
    inbound_max_in_flight: usize = "LINKERD2_PROXY_INBOUND_MAX_IN_FLIGHT", "100000", count;
    /// Outbound requests in flight beyond which more are refused.
    outbound_max_in_flight: usize = "LINKERD2_PROXY_OUTBOUND_MAX_IN_FLIGHT", "100000", count;
    /// How long an idle HTTP/1 connection to the application is kept.
    inbound_pool_idle: Duration = "LINKERD2_PROXY_INBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "3s", duration;
    /// How long an idle HTTP/1 connection to an unmeshed server is kept.
    outbound_pool_idle: Duration = "LINKERD2_PROXY_OUTBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "3s", duration;
    /// Idle HTTP/1 connections to the application that one worker keeps.
    inbound_pool_most: usize = "LINKERD2_PROXY_MAX_IDLE_CONNS_PER_ENDPOINT", "10000", count;
    /// Idle HTTP/1 connections to one unmeshed server that one worker keeps.
    outbound_pool_most: usize = "LINKERD2_PROXY_OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT", "10000", count;
    /// TCP keep-alive on connections that the application opens. Without a value there is none.
    outbound_accept_keepalive: Option<Duration> = "LINKERD2_PROXY_OUTBOUND_ACCEPT_KEEPALIVE", "", optional(duration);
    /// How long sent bytes may stay unacknowledged on connections that the application opens. Without a value the kernel decides.
    outbound_accept_user_timeout: Option<Duration> = "LINKERD2_PROXY_OUTBOUND_ACCEPT_USER_TIMEOUT", "", optional(duration);
    /// TCP keep-alive on connections to the application. Without a value there is none.
    inbound_connect_keepalive: Option<Duration> = "LINKERD2_PROXY_INBOUND_CONNECT_KEEPALIVE", "", optional(duration);
    /// How long sent bytes may stay unacknowledged on connections to the application. Without a value the kernel decides.
    inbound_connect_user_timeout: Option<Duration> = "LINKERD2_PROXY_INBOUND_CONNECT_USER_TIMEOUT", "", optional(duration);
    /// TCP keep-alive on accepted inbound connections.
    inbound_accept_keepalive: Duration = "LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE", "10s", duration;
    /// TCP keep-alive on outbound connections.
    outbound_connect_keepalive: Duration = "LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE", "10s", duration;
    /// How long sent bytes may stay unacknowledged on accepted inbound connections.
    inbound_accept_user_timeout: Duration = "LINKERD2_PROXY_INBOUND_ACCEPT_USER_TIMEOUT", "30s", duration;
    /// How long sent bytes may stay unacknowledged on outbound connections.
    outbound_connect_user_timeout: Duration = "LINKERD2_PROXY_OUTBOUND_CONNECT_USER_TIMEOUT", "30s", duration;
    /// The time between HTTP/2 pings to the clients of the inbound side.
    inbound_http2_keep_alive_interval: Duration = "LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL", "10s", duration;
    /// How long such a ping may stay unanswered.
    inbound_http2_keep_alive_timeout: Duration = "LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", "3s", duration;
    /// The time between HTTP/2 pings to the application as a client. Without a value there are none.
    outbound_http2_keep_alive_interval: Option<Duration> = "LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL", "", optional(duration);
    /// How long such a ping may stay unanswered.
    outbound_http2_keep_alive_timeout: Duration = "LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", "3s", duration;
    /// Bytes in flight on one HTTP/2 stream before their reader has to make room. From applications and unmeshed clients at most 262144. Linkerd's 65535 limits a stream to 0.5 Gbit/s at 1 ms.
    http2_stream_window: u32 = "LINKERD2_PROXY_HTTP2_INITIAL_STREAM_WINDOW_SIZE", "1048576", window;
    /// The same for all streams of one HTTP/2 connection together. With Linkerd's 1048576 sixteen streams that nobody reads stop all others.
    http2_connection_window: u32 = "LINKERD2_PROXY_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "1073741824", window;
    /// How long a client of HTTP/1 may let the next piece of a request's body be waited for before it is answered 408.
    http1_body_timeout: Duration = "WEFT_PROXY_HTTP1_BODY_TIMEOUT", "5m", duration;
    /// Whether answers to the local application are without the headers that tell about this proxy, such as l5d-proxy-error.
    outbound_quiet: bool = "LINKERD2_PROXY_OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", "false", flag;
    /// Whether a TLS session with another proxy may be taken up again, which spares both the certificates' part of a handshake.
    tls_resumption: bool = "WEFT_PROXY_TLS_RESUMPTION", "true", flag;

    /// Worker threads, where neither a ratio nor a maximum is set.
    cores: usize = "LINKERD2_PROXY_CORES", "1", count;
    /// The fewest worker threads, whatever the ratio gives.
    cores_min: usize = "LINKERD2_PROXY_CORES_MIN", "1", count;
    /// The most worker threads; without a ratio, their number. Never more than there are processors.
    cores_max: Option<usize> = "LINKERD2_PROXY_CORES_MAX", "", optional(count);
    /// Worker threads as a part, 0 to 1, of the processors that this process may use.
    cores_ratio: Option<f64> = "LINKERD2_PROXY_CORES_MAX_RATIO", "", optional(ratio);
    /// Whether and how each inbound request is written to standard error: apache (the combined format) or json.
    access_log: Option<AccessLog> = "LINKERD2_PROXY_ACCESS_LOG", "", optional(access_log);
    /// Which log lines are written: comma-separated target=level directives.
    log: String = "LINKERD2_PROXY_LOG", "warn,weft=info", any_text;
    /// How they are written.
    log_format: LogFormat = "LINKERD2_PROXY_LOG_FORMAT", "plain", log_format;
    /// How long open connections may go on after the process was asked to stop.
    shutdown_grace_period: Duration = "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD", "120s", duration;
    /// Whether POST /shutdown on the admin port stops the process.
    shutdown_endpoint: bool = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED", "false", flag;
    /// How long a metric is shown that nothing counts on any more.
    metrics_retain_idle: Duration = "LINKERD2_PROXY_METRICS_RETAIN_IDLE", "10m", duration;
    /// SO_MARK of every socket that the proxy connects, so that the redirect leaves it alone; 0x is understood.
    mark: Option<u32> = "WEFT_PROXY_MARK", "", optional(mark);
}

impl Settings {
    /// Everywhere outgoing connections are redirected to.
    pub(crate) fn outbound_listeners(&self) -> &[SocketAddr] {
        match self.outbound_listen_addrs.as_slice() {
            [] => std::slice::from_ref(&self.outbound_listen),
            several => several,
        }
    }

    /// Settles how many workers there are on a machine with `processors`.
    pub(crate) fn settle_cores(&mut self, processors: usize) {
        let wanted = match (self.cores_ratio, self.cores_max) {
            (Some(ratio), most) => ((processors as f64 * ratio).round() as usize).min(most.unwrap_or(processors)),
            (None, Some(most)) => most.min(processors),
            (None, None) => self.cores,
        };
        self.cores = wanted.max(self.cores_min).max(1);
    }
}

/// The policy of a port about which the control plane has said nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultPolicy {
    AllUnauthenticated,
    AllAuthenticated,
    ClusterUnauthenticated,
    ClusterAuthenticated,
    Deny,
    /// Allows everything, and says where another policy would not have.
    Audit,
}

impl DefaultPolicy {
    const ALL: [DefaultPolicy; 6] = [
        DefaultPolicy::AllUnauthenticated,
        DefaultPolicy::AllAuthenticated,
        DefaultPolicy::ClusterUnauthenticated,
        DefaultPolicy::ClusterAuthenticated,
        DefaultPolicy::Deny,
        DefaultPolicy::Audit,
    ];

    /// As it is written in settings, annotations and metric labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DefaultPolicy::AllUnauthenticated => "all-unauthenticated",
            DefaultPolicy::AllAuthenticated => "all-authenticated",
            DefaultPolicy::ClusterUnauthenticated => "cluster-unauthenticated",
            DefaultPolicy::ClusterAuthenticated => "cluster-authenticated",
            DefaultPolicy::Deny => "deny",
            DefaultPolicy::Audit => "audit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Plain,
    Json,
}

/// How inbound requests are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLog {
    Apache,
    Json,
}
