//! The page of the reference that lists every metric: `weft-proxy --metrics` prints it, and docs/reference has a copy.

use std::fmt::Write as _;

use crate::metrics::{Family, Kind, SERIES_LIMIT};
use crate::{account, control, identity, metrics, process};

/// The whole page, in Markdown.
pub(crate) fn page() -> String {
    let mut families = families();
    families.sort_by_key(|family| family.name);
    let mut page = HEAD.replace("LIMIT", &SERIES_LIMIT.to_string());
    for Family { name, help, kind } in families {
        let kind = match kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram(bounds) => {
                let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
                format!("histogram: {}", bounds.join(" "))
            }
        };
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {help} |");
    }
    page
}

fn families() -> Vec<&'static Family> {
    let of = [account::FAMILIES, control::view::FAMILIES, identity::FAMILIES, metrics::FAMILIES, process::FAMILIES];
    of.into_iter().flatten().copied().collect()
}

const HEAD: &str = "# Metrics of the proxy

`GET /metrics` on the admin port gives them, in the Prometheus text format or, to a client that accepts it, as OpenMetrics. Names and
labels are Linkerd's where Linkerd has the metric; `weft_` marks what is this proxy's own.

- `direction` is `inbound` or `outbound`; `peer` is `src` for connections with clients, `dst` for those with servers.
- `tls` is `true` with `client_id` or `server_id`, `no_identity` with `no_tls_reason`, or `opaque` with `sni`.
- `target_addr`, `target_ip`, `target_port` say where traffic went; `dst_*` are the labels of an endpoint.
- `srv_*`, `route_*`, `authz_*`, `parent_*` name the documents that decided, with `group`, `kind`, `name`.
- `classification` is `success` or `failure`; `error` is the cause of an answer that the proxy gave itself.

## Bounds

A family has at most LIMIT label sets in each worker. What comes after is counted together under the one label `overflow=\"true\"`, and
`weft_metrics_overflow_total` says in which family and how often. A label value is cut at 256 bytes. A series that has not changed for
`LINKERD2_PROXY_METRICS_RETAIN_IDLE` is dropped and makes room, unless it belongs to an open connection.

## All of them

| metric | kind | what it says |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: names say what they are: counters end in `_total`, others do not, and each is there once.
    #[test]
    fn names_follow_the_conventions() {
        let mut names: Vec<_> = families().iter().map(|family| family.name).collect();
        for family in families() {
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(page().contains("| `request_total` | counter | Requests passed on. |"), "{}", page());
    }
}
