//! HTTP/1 carried over HTTP/2 between proxies, so that many requests share few connections.
//!
//! The header `l5d-orig-proto` says what the message was; the receiving proxy restores it before an application sees it. Upgrades and
//! CONNECT cannot be carried and travel as HTTP/1. Pure rewriting of heads; nothing is sent from here.

use http::header::{HOST, HeaderName, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};

use super::hop;

/// The header that names the carried version.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("l5d-orig-proto");

/// Why a request head cannot be carried or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) &'static str);

/// Whether the request may travel as HTTP/2.
pub(crate) fn can_carry(request: &Request<()>) -> bool {
    is_http1(request.version()) && request.method() != Method::CONNECT && !hop::is_upgrade(request.headers())
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
