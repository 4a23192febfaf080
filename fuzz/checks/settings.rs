//! What must hold for any environment: it is read, or every problem in it is named; and the answer depends on nothing else.

use super::{DEFINITIONS, Settings};

/// `data`: lines of a number, which variable, and its value. What is not set has a value that works.
pub(crate) fn any(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let set: Vec<(&str, &str)> = text.lines().filter_map(variable).collect();
    let environment = |name: &str| {
        let found = set.iter().find(|(set, _)| *set == name).map(|(_, value)| *value);
        found.or_else(|| WORKING.iter().find(|(set, _)| *set == name).map(|(_, value)| *value)).map(str::to_owned)
    };
    match (Settings::read(environment), Settings::read(environment)) {
        (Ok(first), Ok(second)) => assert_eq!(format!("{first:?}"), format!("{second:?}")),
        (Err(first), Err(second)) => {
            assert_eq!(first, second);
            assert!(!first.is_empty());
            for problem in first {
                assert!(DEFINITIONS.iter().any(|definition| definition.name == problem.name));
                assert!(!problem.allowed.is_empty() && problem.to_string().contains(problem.name));
            }
        }
        _ => panic!("the same environment is read in two ways"),
    }
}

fn variable(line: &str) -> Option<(&'static str, &str)> {
    let (number, value) = line.split_once('=')?;
    Some((DEFINITIONS.get(number.trim().parse::<usize>().ok()?)?.name, value))
}

const WORKING: [(&str, &str); 7] = [
    ("LINKERD2_PROXY_DESTINATION_SVC_ADDR", "127.0.0.1:8086"),
    ("LINKERD2_PROXY_POLICY_SVC_ADDR", "127.0.0.1:8090"),
    ("LINKERD2_PROXY_IDENTITY_SVC_ADDR", "127.0.0.1:8080"),
    ("LINKERD2_PROXY_POLICY_WORKLOAD", "{}"),
    ("LINKERD2_PROXY_IDENTITY_LOCAL_NAME", "web.default.serviceaccount.identity.weft.cluster.local"),
    ("LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "/token"),
    ("LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "pem"),
];
