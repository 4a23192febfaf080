//! How the text of one variable becomes a value: one function for each kind, which says what is allowed where the text is not that.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rustls_pki_types::ServerName;
use weft_core::identity::Identity;

use super::{AccessLog, DefaultPolicy, LogFormat, Problem};
use crate::control::place::Place;

/// What a parser says: the value, or what is allowed.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn value<T>(
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

pub(super) fn optional<T>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

pub(super) fn list<T: Ord>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<BTreeSet<T>> {
    move |text| {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| parse(item).map_err(|allowed| format!("a list separated by commas, each {allowed} ({item:?} is not)")))
            .collect()
    }
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "IP:PORT, such as 127.0.0.1:4140 or [::1]:4140".into())
}

pub(super) fn ip(text: &str) -> Parsed<IpAddr> {
    text.parse().map_err(|_| "an IP address".into())
}

pub(super) fn addresses(text: &str) -> Parsed<Vec<SocketAddr>> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(address).collect()
}

/// Of a service: its address, or a name to be resolved.
pub(super) fn place(text: &str) -> Parsed<Place> {
    if let Ok(addr) = text.parse() {
        return Ok(Place::Address(addr));
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| Some((server_name(host).ok()?, self::port(port).ok()?)));
    match named {
        // As it was written: a trailing dot keeps the resolver from trying search domains.
        Some((_, port)) => Ok(Place::Name { host: text[..text.rfind(':').unwrap_or_default()].to_ascii_lowercase(), port }),
        None => Err("IP:PORT or NAME:PORT, such as 127.0.0.1:8086 or destination.weft.svc.cluster.local.:8086".into()),
    }
}

pub(super) fn server_name(text: &str) -> Parsed<ServerName<'static>> {
    match ServerName::try_from(text.trim_end_matches('.').to_ascii_lowercase()) {
        Ok(name @ ServerName::DnsName(_)) => Ok(name),
        _ => Err("a DNS name, as it stands in the server's certificate".into()),
    }
}

pub(super) fn dns_identity(text: &str) -> Parsed<Identity> {
    match (Identity::parse(text), server_name(text)) {
        (Ok(identity @ Identity::Dns(_)), Ok(_)) => Ok(identity),
        _ => Err("a DNS-like identity: ACCOUNT.NAMESPACE.serviceaccount.identity.CONTROL-NAMESPACE.TRUST-DOMAIN".into()),
    }
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.is_empty() { Err("a text that is not empty".into()) } else { Ok(text.into()) }
}

pub(super) fn any_text(text: &str) -> Parsed<String> {
    Ok(text.into())
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("the path of a file".into()) } else { Ok(text.into()) }
}

pub(super) fn network(text: &str) -> Parsed<IpNet> {
    text.parse().map_err(|_| "a network such as 10.0.0.0/8".into())
}

pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| "a port from 1 to 65535".into())
}

pub(super) fn count(text: &str) -> Parsed<usize> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number of at least 1".into())
}

/// Room that a peer may fill before it has to wait.
pub(super) fn window(text: &str) -> Parsed<u32> {
    text.parse().ok().filter(|n| (1..1 << 31).contains(n)).ok_or_else(|| "a number of bytes from 1 to 2147483647".into())
}

pub(super) fn backlog(text: &str) -> Parsed<i32> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number from 1 to 2147483647".into())
}

pub(super) fn mark(text: &str) -> Parsed<u32> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|mark| *mark > 0).ok_or_else(|| "a whole number from 1 to 4294967295".into())
}

pub(super) fn ratio(text: &str) -> Parsed<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| "a number from 0 to 1".into())
}

pub(super) fn flag(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "true or false".into())
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
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

pub(super) fn default_policy(text: &str) -> Parsed<DefaultPolicy> {
    DefaultPolicy::ALL
        .into_iter()
        .find(|policy| policy.name() == text)
        .ok_or_else(|| format!("one of {}", DefaultPolicy::ALL.map(DefaultPolicy::name).join(", ")))
}

pub(super) fn access_log(text: &str) -> Parsed<AccessLog> {
    match text {
        "apache" => Ok(AccessLog::Apache),
        "json" => Ok(AccessLog::Json),
        _ => Err("apache or json".into()),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "plain" => Ok(LogFormat::Plain),
        "json" => Ok(LogFormat::Json),
        _ => Err("plain or json".into()),
    }
}
