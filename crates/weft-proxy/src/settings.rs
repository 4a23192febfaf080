//! What the process is told when it starts.
//!
//! One table of definitions (variable, meaning, default, parser) makes the parser and `weft-proxy --settings`, so they cannot disagree. Every value
//! is read once, checked, and never changes; a wrong one is reported with all the others that are wrong, and the proxy does not start.
//! It never reads the environment itself: the caller hands over a function, so that tests hand over a map.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rustls_pki_types::ServerName;
use weft_core::identity::Identity;

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
    /// The same for several addresses, such as 127.0.0.1:4140,[::1]:4140; used in place of the single one.
    outbound_listen_each: BTreeSet<SocketAddr> = "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "", list(address);
    /// Where incoming connections are redirected to; [::] takes those of IPv4 as well.
    inbound_listen: SocketAddr = "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "0.0.0.0:4143", address;
    /// Where metrics and readiness are served.
    admin_listen: SocketAddr = "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "0.0.0.0:4191", address;

    /// The control plane's destination service.
    destination_addr: SocketAddr = "LINKERD2_PROXY_DESTINATION_SVC_ADDR", "", address;
    /// The identity that it must prove; not needed on a loopback address, which is spoken to in plaintext.
    destination_name: Option<ServerName<'static>> = "LINKERD2_PROXY_DESTINATION_SVC_NAME", "", optional(server_name);
    /// The control plane's policy service.
    policy_addr: SocketAddr = "LINKERD2_PROXY_POLICY_SVC_ADDR", "", address;
    /// The identity that it must prove.
    policy_name: Option<ServerName<'static>> = "LINKERD2_PROXY_POLICY_SVC_NAME", "", optional(server_name);
    /// The control plane's identity service.
    identity_addr: SocketAddr = "LINKERD2_PROXY_IDENTITY_SVC_ADDR", "", address;
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

    /// The workload's ports, whose policies are asked for at once; others when they are first used.
    inbound_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS", "", list(port);
    /// What an inbound port allows until the control plane has answered.
    inbound_default_policy: DefaultPolicy = "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", "all-unauthenticated", default_policy;
    /// Inbound ports that are not looked into until the control plane says otherwise: the server speaks first there.
    inbound_opaque_ports: BTreeSet<u16> = "LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "25,587,3306,4444,5432,6379,9300,11211", list(port);
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
    /// Inbound requests in flight beyond which more are refused.
    inbound_max_in_flight: usize = "LINKERD2_PROXY_INBOUND_MAX_IN_FLIGHT", "100000", count;
    /// Outbound requests in flight beyond which more are refused.
    outbound_max_in_flight: usize = "LINKERD2_PROXY_OUTBOUND_MAX_IN_FLIGHT", "100000", count;
    /// How long an idle HTTP/1 connection to the application is kept.
    inbound_pool_idle: Duration = "LINKERD2_PROXY_INBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "3s", duration;
    /// How long an idle HTTP/1 connection to an unmeshed server is kept.
    outbound_pool_idle: Duration = "LINKERD2_PROXY_OUTBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "3s", duration;
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

    /// Worker threads.
    cores: usize = "LINKERD2_PROXY_CORES", "1", count;
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

/// Every variable as a table in Markdown: name, default, meaning. The reference is made from it.
pub(crate) fn table() -> String {
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for Definition { name, meaning, default } in DEFINITIONS {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        // Writing to a string does not fail.
        let _ = writeln!(table, "| `{name}` | {default} | {} |", meaning.trim().replace('|', "\\|"));
    }
    table
}

impl Settings {
    /// Every address that the application's outgoing connections are redirected to.
    pub(crate) fn outbound_listeners(&self) -> BTreeSet<SocketAddr> {
        if self.outbound_listen_each.is_empty() { BTreeSet::from([self.outbound_listen]) } else { self.outbound_listen_each.clone() }
    }

    /// What no single value shows: combinations.
    fn check(&self, problems: &mut Vec<Problem>) {
        for (addr, name, variable) in [
            (self.destination_addr, &self.destination_name, "LINKERD2_PROXY_DESTINATION_SVC_NAME"),
            (self.policy_addr, &self.policy_name, "LINKERD2_PROXY_POLICY_SVC_NAME"),
            (self.identity_addr, &self.identity_name, "LINKERD2_PROXY_IDENTITY_SVC_NAME"),
        ] {
            if name.is_none() && !addr.ip().is_loopback() {
                let allowed = format!("the identity of the server at {addr}: only a loopback address is spoken to in plaintext");
                problems.push(Problem { name: variable, value: None, allowed });
            }
        }
        if self.identity_trust_anchors.is_none() && self.identity_trust_anchors_file.is_none() {
            let allowed =
                "PEM text with at least one certificate, or WEFT_PROXY_IDENTITY_TRUST_ANCHORS_FILE the path of such a file".into();
            problems.push(Problem { name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", value: None, allowed });
        }
        for (min, max, name) in [
            (self.outbound_backoff_min, self.outbound_backoff_max, "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MAX"),
            (self.identity_min_refresh, self.identity_max_refresh, "LINKERD2_PROXY_IDENTITY_MAX_REFRESH"),
        ] {
            if max < min {
                problems.push(Problem { name, value: Some(format!("{max:?}")), allowed: format!("at least the minimum, {min:?}") });
            }
        }
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

/// What a parser says: the value, or what is allowed.
type Parsed<T> = Result<T, String>;

fn value<T>(
    name: &'static str,
    default: &'static str,
    environment: impl Fn(&str) -> Option<String>,
    parse: impl Fn(&str) -> Parsed<T>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    // A variable that is set but empty counts as not set, as a manifest that leaves a value out often writes it.
    let set = environment(name).filter(|text| !text.trim().is_empty());
    match parse(set.as_deref().unwrap_or(default).trim()) {
        Ok(value) => Some(value),
        Err(allowed) => {
            problems.push(Problem { name, value: set, allowed });
            None
        }
    }
}

fn optional<T>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn list<T: Ord>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<BTreeSet<T>> {
    move |text| {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| parse(item).map_err(|allowed| format!("a list separated by commas, each {allowed} ({item:?} is not)")))
            .collect()
    }
}

fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "IP:PORT, such as 127.0.0.1:4140 or [::1]:4140".into())
}

fn server_name(text: &str) -> Parsed<ServerName<'static>> {
    match ServerName::try_from(text.trim_end_matches('.').to_ascii_lowercase()) {
        Ok(name @ ServerName::DnsName(_)) => Ok(name),
        _ => Err("a DNS name, as it stands in the server's certificate".into()),
    }
}

fn dns_identity(text: &str) -> Parsed<Identity> {
    match (Identity::parse(text), server_name(text)) {
        (Ok(identity @ Identity::Dns(_)), Ok(_)) => Ok(identity),
        _ => Err("a DNS-like identity: ACCOUNT.NAMESPACE.serviceaccount.identity.CONTROL-NAMESPACE.TRUST-DOMAIN".into()),
    }
}

fn text(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("a text that is not empty".into()) } else { Ok(text.into()) }
}

fn any_text(text: &str) -> Parsed<String> {
    Ok(text.into())
}

fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("the path of a file".into()) } else { Ok(text.into()) }
}

fn network(text: &str) -> Parsed<IpNet> {
    text.parse().map_err(|_| "a network such as 10.0.0.0/8".into())
}

fn port(text: &str) -> Parsed<u16> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| "a port from 1 to 65535".into())
}

fn count(text: &str) -> Parsed<usize> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number of at least 1".into())
}

fn mark(text: &str) -> Parsed<u32> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|mark| *mark > 0).ok_or_else(|| "a whole number from 1 to 4294967295".into())
}

fn ratio(text: &str) -> Parsed<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| "a number from 0 to 1".into())
}

fn flag(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "true or false".into())
}

fn duration(text: &str) -> Parsed<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(millis)) {
        Some(total) if total > 0 => Ok(Duration::from_millis(total)),
        _ => Err("a duration longer than nothing: a whole number and ms, s, m, h or d".into()),
    }
}

fn default_policy(text: &str) -> Parsed<DefaultPolicy> {
    DefaultPolicy::ALL
        .into_iter()
        .find(|policy| policy.name() == text)
        .ok_or_else(|| format!("one of {}", DefaultPolicy::ALL.map(DefaultPolicy::name).join(", ")))
}

fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "plain" => Ok(LogFormat::Plain),
        "json" => Ok(LogFormat::Json),
        _ => Err("plain or json".into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use super::*;

    pub(crate) fn least() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("LINKERD2_PROXY_DESTINATION_SVC_ADDR", "127.0.0.1:8086"),
            ("LINKERD2_PROXY_POLICY_SVC_ADDR", "127.0.0.1:8090"),
            ("LINKERD2_PROXY_IDENTITY_SVC_ADDR", "127.0.0.1:8080"),
            ("LINKERD2_PROXY_POLICY_WORKLOAD", r#"{"ns":"default","pod":"voting-0"}"#),
            ("LINKERD2_PROXY_IDENTITY_LOCAL_NAME", "voting.default.serviceaccount.identity.weft.cluster.local"),
            ("LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "/token"),
            ("LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "PEM"),
        ])
    }

    fn read(changes: &[(&'static str, &'static str)]) -> Result<Settings, Vec<Problem>> {
        let mut environment = least();
        environment.extend(changes.iter().copied());
        Settings::read(|name| environment.get(name).map(ToString::to_string))
    }

    /// Requirement: with nothing but what has no default, every setting has its documented default.
    #[test]
    fn defaults_fill_what_is_not_set() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.outbound_listen, "127.0.0.1:4140".parse().unwrap());
        assert_eq!(settings.inbound_listen, "0.0.0.0:4143".parse().unwrap());
        assert_eq!(settings.cores, 1);
        assert_eq!(settings.mark, None);
        assert_eq!(settings.shutdown_grace_period, Duration::from_secs(120));
        assert_eq!(settings.inbound_default_policy, DefaultPolicy::AllUnauthenticated);
        assert!(settings.inbound_opaque_ports.contains(&3306));
        assert!(settings.inbound_ports.is_empty());
    }

    /// Requirement: a value that is set wins over the default, spaces around list items are no error, and marks may be hexadecimal.
    #[test]
    fn values_are_parsed() {
        let settings = read(&[
            ("WEFT_PROXY_MARK", "0x57"),
            ("LINKERD2_PROXY_INBOUND_PORTS", "80, 8080,"),
            ("LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT", "100ms"),
            ("LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED", "true"),
            ("LINKERD2_PROXY_LOG_FORMAT", "json"),
        ])
        .unwrap();
        assert_eq!(settings.mark, Some(0x57));
        assert_eq!(settings.inbound_ports, BTreeSet::from([80, 8080]));
        assert_eq!(settings.inbound_connect_timeout, Duration::from_millis(100));
        assert!(settings.shutdown_endpoint);
        assert_eq!(settings.log_format, LogFormat::Json);
    }

    /// Requirement: the outbound side listens on each address of the list, and on the single one where there is no list.
    #[test]
    fn several_outbound_addresses_replace_the_single_one() {
        let both = ["127.0.0.1:4140", "[::1]:4140"].map(|addr| addr.parse().unwrap());
        let settings = read(&[("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "127.0.0.1:4140,[::1]:4140")]).unwrap();
        assert_eq!(settings.outbound_listeners(), BTreeSet::from(both));
        let settings = read(&[("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR", "127.0.0.1:5140")]).unwrap();
        assert_eq!(settings.outbound_listeners(), BTreeSet::from(["127.0.0.1:5140".parse().unwrap()]));
    }

    /// Requirement: each wrong value names the variable, the value and what is allowed.
    #[test]
    fn wrong_values_are_explained() {
        for (name, value, allowed) in [
            ("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR", "4140", "IP:PORT"),
            ("LINKERD2_PROXY_CORES", "0", "at least 1"),
            ("LINKERD2_PROXY_INBOUND_PORTS", "80,http", "\"http\" is not"),
            ("LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT", "100", "ms, s, m, h or d"),
            ("LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT", "99999999999999999999s", "a whole number"),
            ("LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", "allow", "all-authenticated"),
            ("LINKERD2_PROXY_IDENTITY_LOCAL_NAME", "spiffe://a/b", "DNS-like"),
            ("LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_JITTER", "2", "from 0 to 1"),
            ("LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MAX", "1ms", "at least the minimum"),
            ("WEFT_PROXY_MARK", "-1", "a whole number"),
        ] {
            let problems = read(&[(name, value)]).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].name, name);
            assert!(problems[0].value.is_some());
            assert!(problems[0].to_string().contains(allowed), "{}", problems[0]);
        }
    }

    /// Requirement: all problems are reported at once, not the first alone.
    #[test]
    fn several_problems_come_together() {
        let problems = read(&[("LINKERD2_PROXY_CORES", "many"), ("LINKERD2_PROXY_POLICY_SVC_ADDR", "")]).unwrap_err();
        let names: Vec<_> = problems.iter().map(|p| p.name).collect();
        assert_eq!(names, ["LINKERD2_PROXY_POLICY_SVC_ADDR", "LINKERD2_PROXY_CORES"]);
        assert!(problems[0].to_string().contains("is not set"));
    }

    /// Requirement: a control plane that is not on this machine must be given the identity it has to prove.
    #[test]
    fn a_remote_control_plane_needs_a_name() {
        let problems = read(&[("LINKERD2_PROXY_POLICY_SVC_ADDR", "10.0.0.1:8090")]).unwrap_err();
        assert_eq!(problems[0].name, "LINKERD2_PROXY_POLICY_SVC_NAME");
        let named = ("LINKERD2_PROXY_POLICY_SVC_NAME", "Policy.weft.cluster.local.");
        let settings = read(&[("LINKERD2_PROXY_POLICY_SVC_ADDR", "10.0.0.1:8090"), named]).unwrap();
        assert_eq!(settings.policy_name.unwrap().to_str(), "policy.weft.cluster.local");
    }

    /// Requirement: every default in the table is one that its own parser accepts, and every name is there once.
    #[test]
    fn the_table_is_sound() {
        assert!(read(&[]).is_ok());
        let names: BTreeSet<_> = DEFINITIONS.iter().map(|d| d.name).collect();
        assert_eq!(names.len(), DEFINITIONS.len());
        for definition in DEFINITIONS {
            assert!(!definition.meaning.trim().is_empty(), "{}", definition.name);
        }
        assert_eq!(table().lines().count(), DEFINITIONS.len() + 2);
        assert!(table().contains("| `LINKERD2_PROXY_CORES` | `1` | Worker threads. |\n"), "{}", table());
    }
}
