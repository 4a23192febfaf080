//! What a service profile adds to a destination: routes by condition, what counts as a failure, retries within a budget, a split.
//!
//! Decides how a profile and a policy of one destination go together: a profile with routes or a split takes the place of the policy's
//! routes, timeouts and retries, as in Linkerd; the way to the endpoints and the protocol stay the policy's. It never counts retries
//! (`budget` does) and never reads a profile off the wire.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use regex::Regex;

use crate::budget;
use crate::model::{
    Backend, BackendKind, Distribution, Endpoint, Meta, OutboundHttp, OutboundOpaque, OutboundPolicy, OutboundProtocol, OutboundRoute,
    OutboundRule, PeakEwma, Queue, RouteKind, Timeouts,
};
use crate::outcome::{Class, classify};
use crate::retry::{self, GrpcCodes, Statuses};
use crate::route;

/// What the control plane tells of a destination beside its policy.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub fully_qualified_name: String,
    pub opaque: bool,
    /// Present when the address is one endpoint's own (a pod's), not a service's.
    pub endpoint: Option<Arc<Endpoint>>,
    pub routes: Vec<Route>,
    /// Where requests go instead, in shares: `name:port` and weight.
    pub split: Vec<(Arc<str>, u32)>,
    pub budget: Option<budget::Terms>,
}

/// The requests that a condition takes, and what holds for them.
#[derive(Clone, Debug)]
pub struct Route {
    pub meta: Meta,
    pub condition: Condition,
    pub classes: Classes,
    pub retryable: bool,
    pub timeout: Option<Duration>,
}

/// Which requests are meant.
#[derive(Clone, Debug)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// The whole path.
    Path(Regex),
    Method(Method),
}

impl Condition {
    pub fn holds(&self, request: &Request<()>) -> bool {
        match self {
            Condition::All(each) => each.iter().all(|one| one.holds(request)),
            Condition::Any(each) => each.iter().any(|one| one.holds(request)),
            Condition::Not(one) => !one.holds(request),
            Condition::Path(pattern) => route::is_whole(pattern, request.uri().path()),
            Condition::Method(method) => method == request.method(),
        }
    }
}

/// Which answers count as failures. What a profile says nothing of counts as it does without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    told: Statuses,
    failures: Statuses,
}

impl Classes {
    pub const NONE: Classes = Classes { told: Statuses::NONE, failures: Statuses::NONE };

    /// `class` is asked about each status: whether it is a failure, or none where nothing is said.
    pub fn of(class: impl Fn(u16) -> Option<bool>) -> Self {
        let mut classes = Classes::NONE;
        for status in 100..=599 {
            if let Some(failure) = class(status) {
                classes.told.insert(status.into(), status.into());
                if failure {
                    classes.failures.insert(status.into(), status.into());
                }
            }
        }
        classes
    }

    pub fn classify(&self, status: u16, grpc: Option<u32>) -> Class {
        match (self.told.contains(status), self.failures.contains(status)) {
            (false, _) => classify(status, grpc),
            (true, true) => Class::Failure,
            (true, false) => Class::Success,
        }
    }

    /// What is worth another attempt: every answer that counts as a failure.
    fn retries(&self) -> retry::Policy {
        let (mut statuses, mut grpc) = (Statuses::NONE, GrpcCodes::NONE);
        for status in (100..=599).filter(|status| self.classify(*status, None) == Class::Failure) {
            statuses.insert(status.into(), status.into());
        }
        for code in (0..=16).filter(|code| self.classify(200, Some(*code)) == Class::Failure) {
            grpc.insert(code);
        }
        // Only the budget limits how often.
        retry::Policy { limit: u32::MAX, statuses, grpc, ..retry::Policy::NONE }
    }
}

impl Profile {
    /// Whether it takes the place of what the policy says of requests.
    pub fn decides(&self) -> bool {
        !self.routes.is_empty() || !self.split.is_empty()
    }

    /// The policy with the profile in it; `port` is the destination's, for one that has no policy.
    pub fn over(&self, policy: Option<&OutboundPolicy>, port: u16) -> OutboundPolicy {
        let parent = policy.map_or_else(|| Meta::default_named("profile"), |policy| policy.meta.clone());
        let backends = self.backends(policy, port);
        let http = |kind| Arc::new(self.http(&parent, kind, &backends));
        let opaque = || {
            let (route, verdict) = (Meta::default_named("opaq"), crate::model::OpaqueVerdict::Forward);
            Arc::new(OutboundOpaque { parent: parent.clone(), route, verdict, backends: backends.clone() })
        };
        let protocol = match policy.map(|policy| &policy.protocol) {
            Some(OutboundProtocol::Tls(tls)) => OutboundProtocol::Tls(tls.clone()),
            // What may not be reached may not be reached by a profile either.
            Some(OutboundProtocol::Opaque(told)) if told.verdict != crate::model::OpaqueVerdict::Forward => {
                OutboundProtocol::Opaque(told.clone())
            }
            Some(OutboundProtocol::Opaque(_)) => OutboundProtocol::Opaque(opaque()),
            _ if self.opaque => OutboundProtocol::Opaque(opaque()),
            Some(OutboundProtocol::Http1(_)) => OutboundProtocol::Http1(http(RouteKind::Http)),
            Some(OutboundProtocol::Http2(_)) => OutboundProtocol::Http2(http(RouteKind::Http)),
            Some(OutboundProtocol::Grpc(_)) => OutboundProtocol::Grpc(http(RouteKind::Grpc)),
            Some(OutboundProtocol::Detect { timeout, .. }) => detect(*timeout, http(RouteKind::Http), opaque()),
            None => detect(DETECT_TIMEOUT, http(RouteKind::Http), opaque()),
        };
        OutboundPolicy { meta: parent, protocol }
    }

    fn http(&self, parent: &Meta, kind: RouteKind, backends: &Distribution) -> OutboundHttp {
        let listed = self.routes.iter().map(|route| {
            let rule = OutboundRule {
                timeouts: Timeouts { request: route.timeout, ..Timeouts::default() },
                retry: route.retryable.then(|| route.classes.retries()),
                classes: (route.classes != Classes::NONE).then(|| Arc::new(route.classes)),
                ..OutboundRule::to(backends.clone())
            };
            (route.condition.clone(), OutboundRoute { meta: route.meta.clone(), hosts: Vec::new(), rules: vec![rule] })
        });
        let rest = OutboundRoute { meta: Meta::default_named("http"), hosts: Vec::new(), rules: vec![OutboundRule::to(backends.clone())] };
        let name: Arc<str> = self.fully_qualified_name.as_str().into();
        let budget = Some((name, self.budget.unwrap_or(budget::Terms::DEFAULT)));
        OutboundHttp { parent: parent.clone(), kind, listed: listed.collect(), routes: vec![rest], budget }
    }

    /// The split, else where the policy sends what has no route.
    fn backends(&self, policy: Option<&OutboundPolicy>, port: u16) -> Distribution {
        let own = || match policy.map(|policy| &policy.protocol) {
            Some(OutboundProtocol::Detect { opaque, .. } | OutboundProtocol::Opaque(opaque)) => opaque.backends.clone(),
            _ => Distribution::FirstAvailable(vec![balanced(format!("{}:{port}", self.fully_qualified_name).into())]),
        };
        match self.split.as_slice() {
            [] => own(),
            split => Distribution::Weighted(split.iter().map(|(name, weight)| (balanced(name.clone()), *weight)).collect()),
        }
    }
}

fn detect(timeout: Duration, http: Arc<OutboundHttp>, opaque: Arc<OutboundOpaque>) -> OutboundProtocol {
    OutboundProtocol::Detect { timeout, http1: http.clone(), http2: http, opaque }
}

fn balanced(path: Arc<str>) -> Arc<Backend> {
    let load = PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) };
    let queue = Queue { capacity: 10_000, failfast: Duration::from_secs(3) };
    Arc::new(Backend { meta: Meta::default_named(&path), filters: Vec::new(), kind: BackendKind::Balance { path, load }, queue })
}

const DETECT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
