//! What no single variable shows: values that do not go together.

use super::{Problem, Settings};

impl Settings {
    /// What no single value shows: combinations.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (place, name, variable) in [
            (&self.destination_addr, &self.destination_name, "LINKERD2_PROXY_DESTINATION_SVC_NAME"),
            (&self.policy_addr, &self.policy_name, "LINKERD2_PROXY_POLICY_SVC_NAME"),
            (&self.identity_addr, &self.identity_name, "LINKERD2_PROXY_IDENTITY_SVC_NAME"),
        ] {
            if name.is_none() && !place.is_loopback() {
                let allowed = format!("the identity of the server at {place}: only a loopback address is spoken to in plaintext");
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
