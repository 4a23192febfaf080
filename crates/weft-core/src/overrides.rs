//! What an application asks of its own proxy for one request, by headers.
//!
//! Reads and removes them; a value that cannot be read is as if it were not there. Whether they count is the route's to say, who asks here
//! for the timeouts and retries that come of both. It never reads a header that only a proxy may set.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::headers;
use crate::identity::Identity;
use crate::model::Timeouts;
use crate::retry::{GrpcCodes, Policy, Statuses};

/// All that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub request: Option<Duration>,
    pub response: Option<Duration>,
    pub retry_http: Option<Statuses>,
    pub retry_grpc: Option<GrpcCodes>,
    pub retry_limit: Option<u32>,
    pub retry_timeout: Option<Duration>,
    /// The identity that the server must have. Counts on every route.
    pub require_id: Option<Required>,
}

/// What a request demands of the server's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    Identity(Identity),
    /// No identity is written so: nobody has it.
    Unreadable,
}

impl Required {
    /// Whether a server with this proven identity will do.
    pub fn is(&self, proven: Option<&Identity>) -> bool {
        matches!((self, proven), (Required::Identity(wanted), Some(proven)) if wanted == proven)
    }
}

impl Overrides {
    /// Takes them off a request of the application. None: there were none.
    pub fn take(headers: &mut HeaderMap) -> Option<Box<Overrides>> {
        if !headers::any(headers) {
            return None;
        }
        let mut text = |name: &HeaderName| headers.remove(name).and_then(|value| value.to_str().ok().map(|text| text.trim().to_owned()));
        // Both are taken off; the longer name is the one that says what it means.
        let short = text(&TIMEOUT);
        let request = text(&REQUEST_TIMEOUT).or(short);
        let asked = Overrides {
            request: request.as_deref().and_then(duration),
            response: text(&RESPONSE_TIMEOUT).as_deref().and_then(duration),
            retry_http: text(&RETRY_HTTP).as_deref().and_then(statuses),
            retry_grpc: text(&RETRY_GRPC).as_deref().and_then(grpc_codes),
            retry_limit: text(&RETRY_LIMIT).and_then(|text| text.parse().ok()),
            retry_timeout: text(&RETRY_TIMEOUT).as_deref().and_then(duration),
            require_id: text(&REQUIRE_ID).map(|text| Identity::parse(&text).map_or(Required::Unreadable, Required::Identity)),
        };
        (asked != Overrides::default()).then(|| Box::new(asked))
    }

    /// The route's timeouts with these in their place. 0 lifts one.
    pub fn timeouts(&self, route: Timeouts) -> Timeouts {
        let over = |asked: Option<Duration>, route| match asked {
            Some(Duration::ZERO) => None,
            Some(asked) => Some(asked),
            None => route,
        };
        Timeouts { request: over(self.request, route.request), response: over(self.response, route.response), idle: route.idle }
    }

    /// The route's retries with these in their place. Without any condition, of the route or of these, there is nothing to retry.
    pub fn retries(&self, route: Option<Policy>) -> Option<Policy> {
        let mut policy = match route {
            Some(policy) => policy,
            None if self.retry_http.is_some() || self.retry_grpc.is_some() => Policy::NONE,
            None => return None,
        };
        policy.statuses = self.retry_http.unwrap_or(policy.statuses);
        policy.grpc = self.retry_grpc.unwrap_or(policy.grpc);
        policy.limit = self.retry_limit.unwrap_or(policy.limit);
        policy.timeout = match self.retry_timeout {
            Some(Duration::ZERO) => None,
            Some(asked) => Some(asked),
            None => policy.timeout,
        };
        Some(policy)
    }
}

/// A whole number and its unit, or 0.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, &text[digits..]);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Codes, ranges `a-b`, `5xx` and `gateway-error`, separated by commas. One that cannot be read spoils all.
fn statuses(text: &str) -> Option<Statuses> {
    let mut all = Statuses::NONE;
    for item in text.split(',').map(str::trim) {
        let (first, last) = match item {
            "5xx" => (500, 599),
            "gateway-error" => (502, 504),
            range => {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                (first.trim().parse().ok()?, last.trim().parse().ok()?)
            }
        };
        if !(100..=599).contains(&first) || !(first..=599).contains(&last) {
            return None;
        }
        all.insert(first, last);
    }
    Some(all)
}

/// Names of codes, separated by commas. One that cannot be read spoils all.
fn grpc_codes(text: &str) -> Option<GrpcCodes> {
    let mut all = GrpcCodes::NONE;
    for item in text.split(',').map(str::trim) {
        all.insert(GRPC.iter().find(|(name, _)| *name == item)?.1);
    }
    Some(all)
}

const TIMEOUT: HeaderName = HeaderName::from_static("l5d-timeout");
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("l5d-request-timeout");
const RESPONSE_TIMEOUT: HeaderName = HeaderName::from_static("l5d-response-timeout");
const RETRY_HTTP: HeaderName = HeaderName::from_static("l5d-retry-http");
const RETRY_GRPC: HeaderName = HeaderName::from_static("l5d-retry-grpc");
const RETRY_LIMIT: HeaderName = HeaderName::from_static("l5d-retry-limit");
const RETRY_TIMEOUT: HeaderName = HeaderName::from_static("l5d-retry-timeout");
const REQUIRE_ID: HeaderName = HeaderName::from_static("l5d-require-id");

const GRPC: [(&str, u32); 5] =
    [("cancelled", 1), ("deadline-exceeded", 4), ("resource-exhausted", 8), ("internal", 13), ("unavailable", 14)];

#[cfg(test)]
mod tests {
    use super::*;

    fn take(fields: &[(&'static str, &'static str)]) -> (Option<Overrides>, HeaderMap) {
        let mut headers: HeaderMap =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value))).collect();
        (Overrides::take(&mut headers).map(|asked| *asked), headers)
    }

    fn set(statuses: &[(u32, u32)]) -> Statuses {
        let mut all = Statuses::NONE;
        statuses.iter().for_each(|(first, last)| all.insert(*first, *last));
        all
    }

    /// Requirement: every header is read and taken off, readable or not; what is no such header stays.
    #[test]
    fn all_are_taken_off() {
        let (asked, left) = take(&[
            ("l5d-timeout", "3s"),
            ("l5d-request-timeout", "250ms"),
            ("l5d-response-timeout", "1m"),
            ("l5d-retry-http", "5xx, 429,404-405"),
            ("l5d-retry-grpc", "unavailable,internal"),
            ("l5d-retry-limit", "3"),
            ("l5d-retry-timeout", "2h"),
            ("l5d-require-id", "web.default"),
            ("l5d-client-id", "untouched"),
            ("x-own", "1"),
        ]);
        let asked = asked.unwrap();
        assert_eq!(asked.request, Some(Duration::from_millis(250)));
        assert_eq!((asked.response, asked.retry_timeout), (Some(Duration::from_secs(60)), Some(Duration::from_secs(7200))));
        assert_eq!((asked.retry_http, asked.retry_limit), (Some(set(&[(500, 599), (429, 429), (404, 405)])), Some(3)));
        let codes = asked.retry_grpc.unwrap();
        assert_eq!((0..=16).filter(|code| codes.contains(*code)).collect::<Vec<_>>(), [13, 14]);
        assert!(asked.require_id.unwrap().is(Some(&Identity::parse("web.default").unwrap())));
        let mut left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["l5d-client-id", "x-own"]);

        let unreadable = [("l5d-timeout", "soon"), ("l5d-retry-http", "5xx,all"), ("l5d-retry-grpc", "unknown"), ("l5d-retry-limit", "-1")];
        let (asked, left) = take(&unreadable);
        assert_eq!((asked, left.len()), (None, 0));
    }

    /// Requirement: durations are a whole number with ms, s, m, h or d, and 0 lifts the route's.
    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("15ms", Some(15)),
            ("2s", Some(2000)),
            ("1d", Some(86_400_000)),
            ("1", None),
            ("1.5s", None),
            ("s", None),
            ("", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
        let route =
            Timeouts { request: Some(Duration::from_secs(9)), response: Some(Duration::from_secs(8)), idle: Some(Duration::from_secs(7)) };
        let asked = Overrides { request: Some(Duration::ZERO), ..Overrides::default() };
        assert_eq!(asked.timeouts(route), Timeouts { request: None, ..route });
    }

    /// Requirement: a demand for an identity that cannot be read is met by nobody, and a server without identity meets none.
    #[test]
    fn a_demand_that_cannot_be_read_is_met_by_nobody() {
        let (asked, _) = take(&[("l5d-require-id", "not an identity")]);
        let required = asked.unwrap().require_id.unwrap();
        assert!(!required.is(None) && !required.is(Some(&Identity::parse("web.default").unwrap())));
    }

    /// Requirement: headers alone give one retry with 64 KiB and pauses of 25 to 250 ms; beside a route's they change what they name;
    /// a limit without a condition retries nothing.
    #[test]
    fn headers_change_what_they_name() {
        let asked = Overrides { retry_http: Some(set(&[(503, 503)])), ..Overrides::default() };
        let policy = asked.retries(None).unwrap();
        assert_eq!((policy.limit, policy.max_body), (1, 64 << 10));
        assert_eq!((policy.backoff.min, policy.backoff.max), (Duration::from_millis(25), Duration::from_millis(250)));
        let route = Policy { limit: 5, statuses: set(&[(500, 599)]), timeout: Some(Duration::from_secs(1)), ..Policy::NONE };
        let beside = asked.retries(Some(route)).unwrap();
        assert_eq!(beside, Policy { statuses: set(&[(503, 503)]), ..route });
        assert_eq!(Overrides { retry_limit: Some(3), ..Overrides::default() }.retries(None), None);
    }
}
