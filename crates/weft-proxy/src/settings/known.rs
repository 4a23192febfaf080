//! Variables that are set and have no effect: Linkerd's that this proxy does not need or does not serve yet, and misspelt ones.
//!
//! None of them stops the proxy, as a pod that was made for Linkerd carries many. None is passed over in silence either.

use super::{DEFINITIONS, Definition};

/// A variable of Linkerd's proxy that changes nothing here, and why.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

/// What is to be said at the start about the variables in `names`.
pub(crate) fn warnings<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut warnings: Vec<_> = names.into_iter().filter_map(warning).collect();
    warnings.sort();
    warnings
}

fn warning(name: &str) -> Option<String> {
    if !(name.starts_with("LINKERD2_PROXY_") || name.starts_with("WEFT_PROXY_")) || DEFINITIONS.iter().any(|known| known.name == name) {
        return None;
    }
    if let Some(known) = WITHOUT_EFFECT.iter().find(|known| known.name == name) {
        return Some(format!("{name} has no effect: {}", known.why));
    }
    let names = DEFINITIONS.iter().map(|Definition { name, .. }| *name).chain(WITHOUT_EFFECT.iter().map(|known| known.name));
    let nearest = names.map(|known| (distance(name, known), known)).min()?;
    Some(match nearest {
        (far, near) if far <= name.len() / 3 => format!("{name} is unknown and has no effect; the nearest name is {near}"),
        _ => format!("{name} is unknown and has no effect"),
    })
}

/// How many letters have to be put in, taken out or changed.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

macro_rules! without_effect {
    ($($why:literal: $($name:literal),+;)+) => {
        pub(super) const WITHOUT_EFFECT: &[Known] = &[$($(Known { name: concat!("LINKERD2_PROXY_", $name), why: $why },)+)+];
    };
}

without_effect! {
    "tap is not served yet": "CONTROL_LISTEN_ADDR", "TAP_SVC_NAME";
    "traces are not exported yet": "TRACE_COLLECTOR_SVC_ADDR", "TRACE_COLLECTOR_SVC_NAME", "TRACE_PROTOCOL", "TRACE_SERVICE_NAME",
        "TRACE_ATTRIBUTES_PATH", "TRACE_EXTRA_ATTRIBUTES";
    "SPIFFE identities are not requested yet":
        "IDENTITY_SPIRE_WORKLOAD_API_ADDRESS", "IDENTITY_SERVER_ID", "IDENTITY_SERVER_NAME";
    "the key is made in the process and never written": "IDENTITY_DIR";
    "gateways are not served yet": "INBOUND_GATEWAY_SUFFIXES";
    "the control plane is asked about every destination": "DESTINATION_GET_SUFFIXES", "DESTINATION_GET_NETWORKS",
        "DESTINATION_PROFILE_SUFFIXES", "DESTINATION_PROFILE_NETWORKS", "DESTINATION_PROFILE_INITIAL_TIMEOUT";
    "the control plane says for each backend how many requests may wait and how long; where it does not, 100 for 3 seconds":
        "OUTBOUND_HTTP_QUEUE_CAPACITY", "OUTBOUND_HTTP_FAILFAST_TIMEOUT", "OUTBOUND_TCP_QUEUE_CAPACITY", "OUTBOUND_TCP_FAILFAST_TIMEOUT";
    "no request waits for the application: it is answered at once where no connection can be opened":
        "INBOUND_HTTP_QUEUE_CAPACITY", "INBOUND_HTTP_FAILFAST_TIMEOUT";
    "the application is tried for each request": "INBOUND_CONNECT_EXP_BACKOFF_MIN", "INBOUND_CONNECT_EXP_BACKOFF_MAX",
        "INBOUND_CONNECT_EXP_BACKOFF_JITTER";
    "names are resolved for each connection to the control plane, and only then": "DNS_MIN_TTL", "DNS_MAX_TTL";
    "route metrics have no label for host names": "OUTBOUND_METRICS_HOSTNAME_LABELS";
    "inbound metrics have no label for authorities": "INBOUND_METRICS_AUTHORITY_LABELS";
}
