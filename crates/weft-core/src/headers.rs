//! Which header fields are the proxies' own, and from whom each is believed.
//!
//! One table. A field that somebody sets who may not is taken off before anybody reads it: an application cannot name its caller, a
//! stranger cannot claim a carried version, a server cannot pretend to be its proxy. It never sets a field.

use http::{HeaderMap, HeaderName};

/// Who a message comes from, or goes to, as the proxy beside one application sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The application beside this proxy.
    Application,
    /// A proxy that proved an identity of the mesh.
    Peer,
    /// Anybody else: plaintext, or TLS without an identity.
    Stranger,
}

/// Whose field goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passes {
    Nobodys,
    Peers,
}

struct Own {
    name: HeaderName,
    /// From the sender to what comes after the strip: a carried version is read there.
    requests: Passes,
    /// From the sender to the client. What one proxy says to the other is read before the strip and goes no further.
    responses: Passes,
}

/// Tells the application the identity that its client proved. Set by the proxy beside it, taken from nobody.
pub const CLIENT_ID: HeaderName = HeaderName::from_static("l5d-client-id");
/// The version of HTTP/1 that a message had before a proxy carried it over HTTP/2.
pub const ORIG_PROTO: HeaderName = HeaderName::from_static("l5d-orig-proto");
/// Why a proxy answered in place of a server.
pub const PROXY_ERROR: HeaderName = HeaderName::from_static("l5d-proxy-error");
/// `close`: the client shall open another connection.
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("l5d-proxy-connection");
/// The request never reached the application. Weft's own; other proxies ignore it.
pub const NOT_DELIVERED: HeaderName = HeaderName::from_static("weft-not-delivered");

/// Where an ingress controller wants its proxy to send a request. An application sets it; its proxy takes it off.
pub const DST_OVERRIDE: HeaderName = HeaderName::from_static("l5d-dst-override");

static OWN: [Own; 5] = [
    Own { name: CLIENT_ID, requests: Passes::Nobodys, responses: Passes::Nobodys },
    Own { name: ORIG_PROTO, requests: Passes::Peers, responses: Passes::Nobodys },
    Own { name: PROXY_ERROR, requests: Passes::Nobodys, responses: Passes::Peers },
    Own { name: PROXY_CONNECTION, requests: Passes::Nobodys, responses: Passes::Peers },
    Own { name: NOT_DELIVERED, requests: Passes::Nobodys, responses: Passes::Nobodys },
];

/// Takes off a request what its sender may not set.
pub fn strip_request(headers: &mut HeaderMap, sender: Party) {
    strip(headers, sender, |own| own.requests);
}

/// Takes off the head of a response what its sender may not set, and what was meant for this proxy.
pub fn strip_response(headers: &mut HeaderMap, sender: Party) {
    strip(headers, sender, |own| own.responses);
}

/// Takes off trailers what is the proxies' own: no proxy says anything there.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers, Party::Stranger, |_| Passes::Nobodys);
}

/// Whether any field has the prefix of one that proxies read. Most messages have none, and this is all that they cost.
pub fn any(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("l5d-") || name.starts_with("weft-")
    })
}

fn strip(headers: &mut HeaderMap, sender: Party, rule: impl Fn(&Own) -> Passes) {
    if !any(headers) {
        return;
    }
    for own in &OWN {
        if sender != Party::Peer || rule(own) == Passes::Nobodys {
            headers.remove(&own.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ALL: [HeaderName; 5] = [CLIENT_ID, ORIG_PROTO, PROXY_ERROR, PROXY_CONNECTION, NOT_DELIVERED];

    fn forged() -> HeaderMap {
        let own = ALL.into_iter().chain([HeaderName::from_static("l5d-dst-canonical"), HeaderName::from_static("x-own")]);
        let mut headers = HeaderMap::new();
        for name in own {
            headers.append(&name, HeaderValue::from_static("one"));
            headers.append(&name, HeaderValue::from_static("two"));
        }
        headers
    }

    fn left(headers: &HeaderMap) -> Vec<HeaderName> {
        ALL.into_iter().filter(|name| headers.contains_key(name)).collect()
    }

    /// Requirement: applications and strangers set none of the proxies' headers, neither in requests nor in responses, however often they
    /// repeat them; what is not the proxies' stays.
    #[test]
    fn applications_and_strangers_set_none() {
        for sender in [Party::Application, Party::Stranger] {
            for strip in [strip_request, strip_response] {
                let mut headers = forged();
                strip(&mut headers, sender);
                assert_eq!(left(&headers), [] as [HeaderName; 0], "{sender:?}");
                assert_eq!(headers.get_all("x-own").iter().count(), 2);
                assert_eq!(headers.get_all("l5d-dst-canonical").iter().count(), 2);
            }
        }
        let mut trailers = forged();
        strip_trailers(&mut trailers);
        assert_eq!(left(&trailers), [] as [HeaderName; 0]);
    }

    /// Requirement: another proxy is believed about the carried version, and its own errors go on to the client; what it says to this
    /// proxy alone does not, and nobody is believed about who the client is.
    #[test]
    fn a_peer_is_believed_about_what_it_knows() {
        let mut request = forged();
        strip_request(&mut request, Party::Peer);
        assert_eq!(left(&request), [ORIG_PROTO]);
        let mut response = forged();
        strip_response(&mut response, Party::Peer);
        assert_eq!(left(&response), [PROXY_ERROR, PROXY_CONNECTION]);
    }

    /// Requirement: the look that spares ordinary messages misses none of the names in the table.
    #[test]
    fn the_prefixes_cover_the_table() {
        for name in ALL {
            assert!(any(&HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))])), "{name}");
        }
        assert!(!any(&HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("l5d-x"))])));
    }
}
