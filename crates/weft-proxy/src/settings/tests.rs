use std::collections::HashMap;

use super::known::WITHOUT_EFFECT;
use super::reference::page;
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
        ("LINKERD2_PROXY_ACCESS_LOG", "clf", "apache or json"),
        ("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "127.0.0.1:4140,4140", "IP:PORT"),
        ("LINKERD2_PROXY_IDENTITY_SVC_ADDR", "identity", "NAME:PORT"),
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
    assert!(
        page().contains("| `LINKERD2_PROXY_CORES` | `1` | Worker threads, where neither a ratio nor a maximum is set. |\n"),
        "{}",
        page()
    );
    for known in WITHOUT_EFFECT {
        assert!(!names.contains(known.name), "{} has an effect", known.name);
        assert!(page().contains(known.name));
    }
}

/// Requirement: a control plane may be named instead of addressed, and must then prove an identity.
#[test]
fn a_control_plane_may_be_named() {
    let named = ("LINKERD2_PROXY_POLICY_SVC_ADDR", "Policy.linkerd.svc.cluster.local.:8090");
    assert_eq!(read(&[named]).unwrap_err()[0].name, "LINKERD2_PROXY_POLICY_SVC_NAME");
    let settings = read(&[named, ("LINKERD2_PROXY_POLICY_SVC_NAME", "policy.linkerd")]).unwrap();
    assert_eq!(settings.policy_addr.to_string(), "policy.linkerd.svc.cluster.local.:8090");
    for wrong in ["policy", "policy:", ":8090", "policy:0", "po licy:80", "10.0.0.1"] {
        assert!(read(&[("LINKERD2_PROXY_POLICY_SVC_ADDR", wrong)]).is_err(), "{wrong}");
    }
}

/// Requirement: several outbound addresses stand in place of the single one.
#[test]
fn there_may_be_several_outbound_addresses() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.outbound_listeners(), ["127.0.0.1:4140".parse().unwrap()]);
    let settings = read(&[("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "127.0.0.1:4140,[::1]:4140")]).unwrap();
    assert_eq!(settings.outbound_listeners(), ["127.0.0.1:4140".parse().unwrap(), "[::1]:4140".parse().unwrap()]);
}

/// Requirement: the number of workers follows the ratio within its bounds, else the maximum, else the plain number.
#[test]
fn workers_are_settled() {
    let workers = |changes: &[(&'static str, &'static str)], processors| {
        let mut settings = read(changes).unwrap();
        settings.settle_cores(processors);
        settings.cores
    };
    let (cores, min, max, ratio) =
        ("LINKERD2_PROXY_CORES", "LINKERD2_PROXY_CORES_MIN", "LINKERD2_PROXY_CORES_MAX", "LINKERD2_PROXY_CORES_MAX_RATIO");
    assert_eq!(workers(&[], 8), 1);
    assert_eq!(workers(&[(cores, "3")], 2), 3);
    assert_eq!(workers(&[(cores, "3"), (max, "4")], 8), 4);
    assert_eq!(workers(&[(max, "4")], 2), 2);
    assert_eq!(workers(&[(ratio, "0.5")], 8), 4);
    assert_eq!(workers(&[(ratio, "0.5"), (max, "3")], 8), 3);
    assert_eq!(workers(&[(ratio, "0.01")], 8), 1);
    assert_eq!(workers(&[(ratio, "0.01"), (min, "2")], 8), 2);
}

/// Requirement: a variable without effect is reported, Linkerd's with the reason and a misspelt one with the nearest name; those of others
/// are nobody's business.
#[test]
fn variables_without_effect_are_reported() {
    let said = warnings([
        "PATH",
        "LINKERD2_PROXY_CORES",
        "LINKERD2_PROXY_TAP_SVC_NAME",
        "LINKERD2_PROXY_COERS",
        "WEFT_PROXY_FROBNICATE_ALL_OF_IT",
    ]);
    assert_eq!(
        said,
        [
            "LINKERD2_PROXY_COERS is unknown and has no effect; the nearest name is LINKERD2_PROXY_CORES",
            "LINKERD2_PROXY_TAP_SVC_NAME has no effect: tap is not served yet",
            "WEFT_PROXY_FROBNICATE_ALL_OF_IT is unknown and has no effect",
        ]
    );
}

/// Requirement: what the fuzz target checks holds for its corpus.
#[test]
fn the_fuzz_corpus_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/settings");
    let files: Vec<_> = folder.read_dir().expect("a corpus is checked in").map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        super::fuzzed::any(&std::fs::read(file).unwrap());
    }
}
