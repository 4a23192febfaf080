//! HTTP/1 carried over HTTP/2 between proxies, so that many requests share few connections.
//!
//! The header `l5d-orig-proto` says what the message was; the receiving proxy restores it before an application sees it. Upgrades and
//! CONNECT cannot be carried and travel as HTTP/1. Pure rewriting of heads; nothing is sent from here.

use http::header::{HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
pub(crate) use weft_core::headers::ORIG_PROTO as HEADER;

/// Why a request head cannot be carried or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) &'static str);

/// Whether the request may travel as HTTP/2. The `upgrade` header is there only in a request that may be upgraded. HTTP/2 has no place for a
/// request that names no host, as those of HTTP/1.0 may.
pub(crate) fn can_carry(request: &Request<()>) -> bool {
    is_http1(request.version())
        && request.method() != Method::CONNECT
        && !request.headers().contains_key(UPGRADE)
        && (request.uri().authority().is_some() || request.headers().get(HOST).is_some_and(|host| !host.is_empty()))
}

/// Whether somebody who is no proxy uses the mark to have two hosts in one request: only a carried request may have a `host` beside
/// another authority, for its own proxy sees to it which one counts.
pub(crate) fn hides_a_host(request: &Request<()>) -> bool {
    let headers = request.headers();
    headers.contains_key(HEADER)
        && request.version() == Version::HTTP_2
        && headers.get(HOST).is_some_and(|host| request.uri().authority().is_none_or(|named| named.as_str().as_bytes() != host.as_bytes()))
}

/// Client's side, on the way out: an HTTP/1 request becomes an HTTP/2 one that remembers. Returns the version that the response gets back.
pub(crate) fn carry(request: &mut Request<()>) -> Result<Version, Unfit> {
    let version = request.version();
    let absolute = request.uri().authority().is_some();
    if !absolute {
        let host = request.headers().get(HOST).ok_or(Unfit("request without Host"))?;
        let mut parts = request.uri().clone().into_parts();
        parts.authority = Some(host.as_bytes().try_into().map_err(|_| Unfit("Host is not a valid authority"))?);
        parts.scheme = Some(Scheme::HTTP);
        // OPTIONS * has a path of its own; any other request has one that starts with a slash.
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Unfit("request target is not a valid URI"))?;
    }
    let original = match (version, absolute) {
        (Version::HTTP_10, false) => "HTTP/1.0",
        (Version::HTTP_10, true) => "HTTP/1.0; absolute-form",
        (_, false) => "HTTP/1.1",
        (_, true) => "HTTP/1.1; absolute-form",
    };
    let headers = request.headers_mut();
    headers.insert(HEADER, HeaderValue::from_static(original));
    headers.remove(TRANSFER_ENCODING);
    *request.version_mut() = Version::HTTP_2;
    Ok(version)
}

/// Client's side, on the way back: the response is one of the version that the other proxy says its application spoke, or else the
/// request's own.
pub(crate) fn uncarry(response: &mut Response<()>, requested: Version) {
    let named = response.headers_mut().remove(HEADER);
    *response.version_mut() = named.as_ref().and_then(parse).map_or(requested, |original| original.version);
    response.headers_mut().remove(TRANSFER_ENCODING);
}

/// Server's side, on the way in: restores the HTTP/1 request that was carried. `Ok(None)` if it never was HTTP/1.
pub(crate) fn restore(request: &mut Request<()>) -> Result<Option<Version>, Unfit> {
    let Some(named) = request.headers_mut().remove(HEADER) else { return Ok(None) };
    if request.version() != Version::HTTP_2 {
        // Said by an application, not by a proxy.
        return Ok(None);
    }
    let original = parse(&named).ok_or(Unfit("l5d-orig-proto names no version of HTTP/1"))?;
    let authority = request.uri().authority().ok_or(Unfit("carried request without authority"))?;
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| Unfit("authority is not a valid Host"))?;
    request.headers_mut().insert(HOST, host);
    if !original.absolute {
        let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
    request.headers_mut().remove(TRANSFER_ENCODING);
    *request.version_mut() = original.version;
    Ok(Some(original.version))
}

/// Server's side, on the way out: the application's HTTP/1 response becomes HTTP/2 and says which version it was.
pub(crate) fn carry_back(response: &mut Response<()>) {
    let version = if response.version() == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
    response.headers_mut().insert(HEADER, HeaderValue::from_static(version));
    response.headers_mut().remove(TRANSFER_ENCODING);
    *response.version_mut() = Version::HTTP_2;
}

struct Original {
    version: Version,
    absolute: bool,
}

fn parse(value: &HeaderValue) -> Option<Original> {
    let mut parts = value.to_str().ok()?.split(';').map(str::trim);
    let version = match parts.next()? {
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/1.0" => Version::HTTP_10,
        _ => return None,
    };
    Some(Original { version, absolute: parts.any(|part| part == "absolute-form") })
}

fn is_http1(version: Version) -> bool {
    matches!(version, Version::HTTP_10 | Version::HTTP_11)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(version: Version, target: &str, host: Option<&str>) -> Request<()> {
        let builder = Request::builder().version(version).uri(target).header(TRANSFER_ENCODING, "chunked");
        host.into_iter().fold(builder, |builder, host| builder.header(HOST, host)).body(()).expect("request")
    }

    /// Requirement: what is carried comes out as it went in, but for the framing of the connection, and is marked with its version on the way.
    #[test]
    fn a_carried_request_is_restored() {
        for (version, target, host, carried, named, restored_host) in [
            (Version::HTTP_11, "/a?b", "api:80", "http://api:80/a?b", "HTTP/1.1", "api:80"),
            (Version::HTTP_10, "/", "api", "http://api/", "HTTP/1.0", "api"),
            (Version::HTTP_11, "http://api/a", "other", "http://api/a", "HTTP/1.1; absolute-form", "api"),
            (Version::HTTP_10, "http://api/a", "api", "http://api/a", "HTTP/1.0; absolute-form", "api"),
        ] {
            let mut message = request(version, target, Some(host));
            assert_eq!(carry(&mut message), Ok(version));
            assert_eq!((message.uri().to_string().as_str(), message.version()), (carried, Version::HTTP_2));
            assert_eq!(message.headers()[HEADER], named);
            assert!(!message.headers().contains_key(TRANSFER_ENCODING));
            assert_eq!(restore(&mut message), Ok(Some(version)));
            assert_eq!((message.uri().to_string().as_str(), message.version()), (target, version));
            assert_eq!(message.headers()[HOST], restored_host);
            assert!(!message.headers().contains_key(HEADER));
        }
    }

    /// Requirement: a request that names no host cannot be carried, and a mark that names no version of HTTP/1 is refused.
    #[test]
    fn what_cannot_be_carried_is_said() {
        assert!(carry(&mut request(Version::HTTP_10, "/", None)).is_err());
        assert!(carry(&mut request(Version::HTTP_11, "/", Some("a b"))).is_err());
        let mut odd = Request::builder().version(Version::HTTP_2).uri("http://api/").header(HEADER, "HTTP/3").body(()).expect("request");
        assert!(restore(&mut odd).is_err());
        let mut plain = Request::builder().version(Version::HTTP_2).uri("http://api/").body(()).expect("request");
        assert_eq!(restore(&mut plain), Ok(None));
        assert_eq!(plain.version(), Version::HTTP_2);
    }

    /// Requirement: the mark does not let a client that is no proxy have two hosts in one request.
    #[test]
    fn a_forged_mark_hides_no_host() {
        let two = |mark: bool, host: &str| {
            let builder = Request::builder().version(Version::HTTP_2).uri("http://api/").header(HOST, host);
            let builder = if mark { builder.header(HEADER, "HTTP/1.1; absolute-form") } else { builder };
            builder.body(()).expect("request")
        };
        assert!(hides_a_host(&two(true, "other")));
        assert!(!hides_a_host(&two(true, "api")) && !hides_a_host(&two(false, "api")));
    }

    /// Requirement: upgrades, CONNECT and what names no host travel as HTTP/1; HTTP/2 is not carried again.
    #[test]
    fn only_plain_http1_is_carried() {
        assert!(can_carry(&request(Version::HTTP_11, "/", Some("api"))));
        assert!(!can_carry(&request(Version::HTTP_2, "http://api/", None)));
        assert!(!can_carry(&request(Version::HTTP_10, "/", None)));
        assert!(!can_carry(&request(Version::HTTP_11, "/", Some(""))));
        assert!(can_carry(&request(Version::HTTP_10, "http://api/", None)));
        let upgrade = Request::get("/").header(HOST, "api").header(UPGRADE, "websocket").body(()).expect("request");
        assert!(!can_carry(&upgrade));
        assert!(!can_carry(&Request::connect("api:80").body(()).expect("request")));
    }

    /// Requirement: the response has the version of the server's application again, or of the request if nobody says.
    #[test]
    fn a_response_gets_its_version_back() {
        for (applications, requested, seen) in
            [(Version::HTTP_10, Version::HTTP_11, Version::HTTP_10), (Version::HTTP_11, Version::HTTP_11, Version::HTTP_11)]
        {
            let mut response = Response::builder().version(applications).body(()).expect("response");
            carry_back(&mut response);
            assert_eq!(response.version(), Version::HTTP_2);
            uncarry(&mut response, requested);
            assert_eq!(response.version(), seen);
            assert!(response.headers().is_empty());
        }
        let mut silent = Response::builder().version(Version::HTTP_2).body(()).expect("response");
        uncarry(&mut silent, Version::HTTP_10);
        assert_eq!(silent.version(), Version::HTTP_10);
    }

    fn target() -> impl Strategy<Value = (Method, String)> {
        let path = "/[a-z0-9._~/%-]{0,12}([?][a-z=&%0-9]{0,8})?";
        let methods = prop_oneof![Just(Method::GET), Just(Method::POST), Just(Method::from_bytes(b"M-SEARCH").expect("method"))];
        prop_oneof![
            8 => (methods, path).prop_map(|(method, path)| (method, path)),
            1 => Just((Method::OPTIONS, "*".to_owned())),
        ]
    }

    fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        let value = prop_oneof!["[ -~]{0,12}".prop_map(String::into_bytes), prop::collection::vec(0xa0..=0xffu8, 0..4)];
        // Few names, so that some are repeated.
        prop::collection::vec(("x-[ab]", value), 0..6)
    }

    proptest! {
        /// Requirement: whatever an HTTP/1 request says, its server is told the same after it was carried: method, target in its form,
        /// version, Host (which absolute-form overrides), and every other field with its bytes and its place among those of its name.
        #[test]
        fn carriage_loses_nothing((method, path) in target(), host in "[a-z]{1,6}(:[1-9][0-9]{1,3})?", fields in fields(), old: bool, absolute: bool) {
            let absolute = absolute && path != "*";
            let uri = if absolute { format!("http://{host}{path}") } else { path };
            let mut builder = Request::builder().method(method).uri(uri).version(if old { Version::HTTP_10 } else { Version::HTTP_11 });
            for (name, value) in &fields {
                builder = builder.header(name, HeaderValue::from_bytes(value).expect("value"));
            }
            let before = builder.header(HOST, host).body(()).expect("request");
            prop_assume!(can_carry(&before));
            let mut after = before.clone();
            let version = carry(&mut after).expect("carried");
            prop_assert_eq!(after.version(), Version::HTTP_2);
            prop_assert_eq!(restore(&mut after), Ok(Some(version)));
            prop_assert_eq!((after.method(), after.uri().to_string(), after.version()), (before.method(), before.uri().to_string(), before.version()));
            prop_assert_eq!(after.headers(), before.headers());
        }
    }
}
