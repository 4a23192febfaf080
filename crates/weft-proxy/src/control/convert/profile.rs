//! Profiles of destinations.

use std::sync::Arc;

use weft_core::budget;
use weft_core::model::{Labels, Meta, Resource};
use weft_core::profile::{Classes, Condition, Profile, Route};

use super::destination::endpoint;
use super::shared::{duration, each, meta, method, whole};
use super::{Invalid, invalid, unknown};
use crate::r#gen::destination::{self as wire, request_match, response_match};

/// Conditions may be inside each other this often.
const DEPTH: usize = 16;

/// The profile of an address or name.
pub(crate) fn profile(found: &wire::DestinationProfile) -> Result<Profile, Invalid> {
    let document = found.profile_ref.as_ref().map(|metadata| meta(Some(metadata))).transpose()?;
    Ok(Profile {
        fully_qualified_name: found.fully_qualified_name.clone(),
        opaque: found.opaque_protocol,
        endpoint: found.endpoint.as_ref().map(|addr| endpoint(addr, &Labels::new()).map(Arc::new)).transpose()?,
        routes: each(&found.routes, |route| self::route(route, document.as_ref()))?,
        split: split(&found.dst_overrides)?,
        budget: found.retry_budget.as_ref().map(|budget| budget::Terms {
            ratio: budget.retry_ratio,
            least_per_second: budget.min_retries_per_second,
            ttl: duration(budget.ttl.as_ref()).unwrap_or(budget::Terms::DEFAULT.ttl),
        }),
    })
}

fn route(found: &wire::Route, document: Option<&Meta>) -> Result<Route, Invalid> {
    let name = found.metrics_labels.get("route").map(String::as_str).unwrap_or_default();
    let meta = match document {
        Some(Meta::Resource(profile)) => Meta::Resource(Arc::new(Resource { section: name.into(), ..(**profile).clone() })),
        _ => Meta::default_named(name),
    };
    let Some(wanted) = &found.condition else { return unknown("the condition of a route") };
    let classes = &found.response_classes;
    for class in classes {
        let Some(wanted) = &class.condition else { return unknown("the condition of a response class") };
        answered(wanted, 599, DEPTH)?;
    }
    // Checked above for one status, and so for all.
    let fits = |class: &wire::ResponseClass, status| class.condition.as_ref().is_some_and(|one| answered(one, status, DEPTH) == Ok(true));
    let class = |status: u16| classes.iter().find(|class| fits(class, status)).map(|class| class.is_failure);
    Ok(Route {
        meta,
        condition: condition(wanted, DEPTH)?,
        classes: if classes.is_empty() { Classes::NONE } else { Classes::of(class) },
        retryable: found.is_retryable,
        timeout: duration(found.timeout.as_ref()),
    })
}

fn condition(found: &wire::RequestMatch, depth: usize) -> Result<Condition, Invalid> {
    use request_match::Match;
    let Some(deeper) = depth.checked_sub(1) else { return invalid("a condition that is nested too deep") };
    match &found.r#match {
        Some(Match::All(seq)) => Ok(Condition::All(each(&seq.matches, |one| condition(one, deeper))?)),
        Some(Match::Any(seq)) => Ok(Condition::Any(each(&seq.matches, |one| condition(one, deeper))?)),
        Some(Match::Not(one)) => Ok(Condition::Not(Box::new(condition(one, deeper)?))),
        Some(Match::Path(path)) => Ok(Condition::Path(whole(&path.regex)?)),
        Some(Match::Method(found)) => Ok(Condition::Method(method(found)?)),
        None => unknown("a condition"),
    }
}

/// Whether an answer with this status is meant. Every branch is looked at, so that one answer tells whether all can be read.
fn answered(found: &wire::ResponseMatch, status: u16, depth: usize) -> Result<bool, Invalid> {
    use response_match::Match;
    let Some(deeper) = depth.checked_sub(1) else { return invalid("a response class that is nested too deep") };
    let every = |seq: &response_match::Seq| each(&seq.matches, |one| answered(one, status, deeper));
    match &found.r#match {
        Some(Match::All(seq)) => Ok(every(seq)?.iter().all(|fits| *fits)),
        Some(Match::Any(seq)) => Ok(every(seq)?.iter().any(|fits| *fits)),
        Some(Match::Not(one)) => Ok(!answered(one, status, deeper)?),
        Some(Match::Status(range)) => {
            Ok((range.min == 0 || u32::from(status) >= range.min) && (range.max == 0 || u32::from(status) <= range.max))
        }
        None => unknown("a response class"),
    }
}

/// What has no weight gets nothing, so it is not there at all.
fn split(found: &[wire::WeightedDst]) -> Result<Vec<(Arc<str>, u32)>, Invalid> {
    let split: Vec<_> = found.iter().filter(|one| one.weight > 0).map(|one| (one.authority.as_str().into(), one.weight)).collect();
    if split.iter().try_fold(0u32, |sum, (_, weight): &(Arc<str>, u32)| sum.checked_add(*weight)).is_none() {
        return invalid("weights whose sum is above 4294967295");
    }
    Ok(split)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Method, Request};
    use weft_core::outcome::Class;

    use super::*;
    use crate::r#gen::destination::{
        DestinationProfile, HttpStatusRange, PathMatch, ResponseClass, ResponseMatch, RetryBudget, WeightedDst,
    };
    use crate::r#gen::{http_types, meta as wire_meta};

    fn path(regex: &str) -> wire::RequestMatch {
        wire::RequestMatch { r#match: Some(request_match::Match::Path(PathMatch { regex: regex.into() })) }
    }

    fn every(matches: Vec<wire::RequestMatch>) -> wire::RequestMatch {
        wire::RequestMatch { r#match: Some(request_match::Match::All(request_match::Seq { matches })) }
    }

    fn status(min: u32, max: u32) -> ResponseMatch {
        ResponseMatch { r#match: Some(response_match::Match::Status(HttpStatusRange { min, max })) }
    }

    fn read(route: wire::Route) -> Result<Route, Invalid> {
        let written = wire_meta::Resource { kind: "ServiceProfile".into(), name: "web.default.svc".into(), ..Default::default() };
        let profile_ref = Some(wire_meta::Metadata { kind: Some(wire_meta::metadata::Kind::Resource(written)) });
        profile(&DestinationProfile { routes: vec![route], profile_ref, ..Default::default() }).map(|mut read| read.routes.remove(0))
    }

    /// Requirement: a route is named by its document and itself; conditions and response classes keep their meaning: the first class that
    /// fits decides, an end of a range that is 0 is open.
    #[test]
    fn routes_are_read() {
        let get = http_types::HttpMethod { r#type: Some(http_types::http_method::Type::Registered(0)) };
        let method = wire::RequestMatch { r#match: Some(request_match::Match::Method(get)) };
        let none = ResponseMatch { r#match: Some(response_match::Match::Not(Box::new(status(0, 499)))) };
        let route = read(wire::Route {
            condition: Some(every(vec![method, path("/books/.*")])),
            response_classes: [(status(500, 503), false), (none, true), (status(404, 404), true)]
                .map(|(condition, is_failure)| ResponseClass { condition: Some(condition), is_failure })
                .into(),
            metrics_labels: [("route".to_owned(), "GET /books".to_owned())].into(),
            is_retryable: true,
            timeout: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        })
        .unwrap();
        assert_eq!((route.meta.kind(), route.meta.name(), route.meta.section()), ("ServiceProfile", "web.default.svc", "GET /books"));
        let asked = |method, uri: &str| Request::builder().method(method).uri(uri).body(()).unwrap();
        assert!(route.condition.holds(&asked(Method::GET, "/books/1")) && !route.condition.holds(&asked(Method::POST, "/books/1")));
        let failures = [500, 503, 504, 599, 404, 403].map(|status| route.classes.classify(status, None) == Class::Failure);
        assert_eq!(failures, [false, false, true, true, true, false]);
        assert_eq!((route.retryable, route.timeout), (true, Some(Duration::from_secs(2))));
    }

    /// Requirement: budget and split keep their numbers; what has no weight is not there; a profile with neither changes nothing.
    #[test]
    fn budget_and_split_are_read() {
        let to = |authority: &str, weight| WeightedDst { authority: authority.into(), weight, backend_ref: None };
        let ttl = Some(prost_types::Duration { seconds: 3, nanos: 0 });
        let told = DestinationProfile {
            retry_budget: Some(RetryBudget { retry_ratio: 0.5, min_retries_per_second: 1, ttl }),
            dst_overrides: vec![to("a:80", 9_000), to("b:80", 0)],
            ..Default::default()
        };
        let read = profile(&told).unwrap();
        assert_eq!(read.split, [("a:80".into(), 9_000)]);
        assert_eq!(read.budget, Some(budget::Terms { ratio: 0.5, least_per_second: 1, ttl: Duration::from_secs(3) }));
        assert!(read.decides() && !profile(&DestinationProfile::default()).unwrap().decides());
    }

    /// Requirement: what is of an unknown kind, no pattern, or nested without end is named, and the profile not used.
    #[test]
    fn what_cannot_be_read_is_named() {
        let deep = (0..40).fold(path("/"), |inner, _| every(vec![inner]));
        let class = |condition| vec![ResponseClass { condition, is_failure: true }];
        for (condition, response_classes, why) in [
            (None, vec![], "the condition of a route"),
            (Some(path("(")), vec![], "pattern"),
            (Some(wire::RequestMatch::default()), vec![], "a condition is missing"),
            (Some(deep), vec![], "nested"),
            (Some(path("/")), class(None), "response class"),
            (Some(path("/")), class(Some(ResponseMatch::default())), "a response class is missing"),
        ] {
            let error = read(wire::Route { condition, response_classes, ..Default::default() }).unwrap_err();
            assert!(error.0.contains(why), "{error} does not name {why}");
        }
    }
}
