//! HTTP/1 clients and applications, and between them two proxies that carry HTTP/1 over HTTP/2: what one end writes, the other reads.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::http::{h1, orig_proto};

/// Translates heads on their way back, as both proxies do.
struct Translate {
    uncarry: Option<http::Version>,
    carry: bool,
}

impl Translate {
    fn head(&self, head: &mut Response<()>) {
        if let Some(version) = self.uncarry {
            orig_proto::uncarry(head, version);
        }
        if self.carry {
            orig_proto::carry_back(head);
        }
    }
}

impl Observe for Translate {
    fn informational(&mut self, head: &mut Response<()>) {
        self.head(head);
    }

    fn response(&mut self, head: &mut Response<()>, _grpc: Option<u32>) {
        self.head(head);
    }
}

/// A client's socket, through two proxies, to the socket of an application.
async fn carried() -> (TcpStream, TcpStream) {
    let ((client, near), (far, application)) = (sockets().await, sockets().await);
    let application_side = h1::client::Connection::new(Io::new(far));
    let (between, stop) = server(move |mut request: Request<()>, source, sink| {
        let mut upstream = Upstream::H1(application_side.clone());
        async move {
            orig_proto::restore(&mut request).expect("restored").expect("carried");
            let mut observer = Translate { uncarry: None, carry: true };
            if let Err(Failed::Unanswered(unanswered)) =
                exchange::run(Box::new(Message { request, source, sink }), &mut upstream, &mut observer).await
            {
                panic!("{}", unanswered.refusal);
            }
        }
    })
    .await;
    spawn_local(async move {
        let _stop = stop;
        let mut server = h1::server::Server::new(Io::new(near), Default::default(), h1::server::Timeouts::default());
        while let Ok(Some(mut message)) = server.next().await {
            assert!(orig_proto::can_carry(&message.request), "{:?}", message.request);
            let mut observer = Translate { uncarry: Some(orig_proto::carry(&mut message.request).expect("fit")), carry: false };
            let mut upstream = Upstream::H2(between.clone());
            let _ = exchange::run(message, &mut upstream, &mut observer).await;
        }
    });
    (client, application)
}

/// Reads until what was read ends so.
async fn until(socket: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        assert_ne!(socket.read_buf(&mut all).await.expect("read"), 0, "ended after {:?}", String::from_utf8_lossy(&all));
    }
    String::from_utf8(all).expect("text")
}

/// A conversation: what the client writes, what the application reads (to its last bytes), what it answers, and how what the client reads
/// ends. Returns what the application and the client have read, in lower case.
async fn converse(asked: &str, asked_end: &str, answered: &str, answered_end: &str) -> (String, String) {
    let (mut client, mut application) = carried().await;
    client.write_all(asked.as_bytes()).await.expect("written");
    let arrived = until(&mut application, asked_end).await;
    application.write_all(answered.as_bytes()).await.expect("written");
    if answered.to_lowercase().contains("connection: close") || answered.starts_with("HTTP/1.0") {
        drop(application);
    }
    let came = until(&mut client, answered_end).await;
    (arrived.to_lowercase(), came.to_lowercase())
}

fn lines(head: &str) -> Vec<&str> {
    head.split("\r\n").collect()
}

/// Requirement: trailers of a request and of its response arrive, with the bodies before them, and so does what announced them.
#[test]
fn trailers_are_carried() {
    talk(async {
        let (arrived, came) = converse(
            "POST /a HTTP/1.1\r\nHost: api\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-ours\r\n\r\n3\r\nabc\r\n0\r\nx-ours: 1\r\n\r\n",
            "x-ours: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-theirs\r\n\r\n2\r\nde\r\n0\r\nx-theirs: 2\r\n\r\n",
            "x-theirs: 2\r\n\r\n",
        )
        .await;
        assert!(arrived.contains("trailer: x-ours\r\n") && arrived.contains("te: trailers\r\n"), "{arrived}");
        assert!(arrived.contains("\r\n3\r\nabc\r\n0\r\nx-ours: 1\r\n"), "{arrived}");
        assert!(came.contains("trailer: x-theirs\r\n") && came.contains("\r\n2\r\nde\r\n0\r\nx-theirs: 2\r\n"), "{came}");
    });
}

/// Requirement: informational responses arrive in order before the final one, also the 100 that a client waits for.
#[test]
fn informational_responses_are_carried() {
    talk(async {
        let (mut client, mut application) = carried().await;
        client.write_all(b"PUT / HTTP/1.1\r\nHost: api\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await.expect("written");
        let head = until(&mut application, "\r\n\r\n").await.to_lowercase();
        assert!(head.contains("expect: 100-continue\r\n") && head.contains("content-length: 4\r\n"), "{head}");
        application.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await.expect("written");
        let said = until(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await.to_lowercase();
        assert!(said.starts_with("http/1.1 103") && said.contains("link: </a>\r\n"), "{said}");
        client.write_all(b"body").await.expect("written");
        assert_eq!(until(&mut application, "body").await, "body");
        application.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await.expect("written");
        assert!(until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 201"));
    });
}

/// Requirement: a target in absolute form arrives as that, with its Host; `*` arrives as `*`.
#[test]
fn the_form_of_the_target_is_carried() {
    for (target, method, host, restored) in
        [("http://api:81/a?b", "GET", "api:81", "api:81"), ("/%7e//x?", "GET", "api:80", "api:80"), ("*", "OPTIONS", "api", "api")]
    {
        talk(async move {
            let asked = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answered = "HTTP/1.1 204 No Content\r\n\r\n";
            let (arrived, came) = converse(&asked, "\r\n\r\n", answered, "\r\n\r\n").await;
            let head = lines(&arrived);
            assert_eq!(head[0], format!("{method} {target} HTTP/1.1").to_lowercase());
            assert!(head.contains(&format!("host: {restored}").as_str()), "{arrived}");
            assert!(!arrived.contains("l5d-orig-proto") && !came.contains("l5d-orig-proto"), "{arrived}{came}");
            assert!(came.starts_with("http/1.1 204"), "{came}");
        });
    }
}

/// Requirement: HTTP/1.0 stays HTTP/1.0 for the application; its answer of unknown length ends with the client's connection, and a client
/// of HTTP/1.0 sees no chunks.
#[test]
fn http_1_0_is_carried() {
    talk(async {
        let (mut client, mut application) = carried().await;
        client.write_all(b"GET /old HTTP/1.0\r\nHost: api\r\n\r\n").await.expect("written");
        let head = until(&mut application, "\r\n\r\n").await;
        assert!(head.starts_with("GET /old HTTP/1.0\r\n"), "{head}");
        application.write_all(b"HTTP/1.0 200 OK\r\n\r\nold times").await.expect("written");
        drop(application);
        let mut said = String::new();
        client.read_to_string(&mut said).await.expect("to the end");
        let said = said.to_lowercase();
        assert!(said.ends_with("\r\n\r\nold times") && said.contains("connection: close\r\n"), "{said}");
        assert!(!said.contains("chunked"), "{said}");
    });
}

/// Requirement: `connection: close` means one connection: the client's closes after the answer if the client asked for it, and stays open
/// when it was the application that closed its own.
#[test]
fn close_concerns_one_connection() {
    talk(async {
        let (mut client, mut application) = carried().await;
        client.write_all(b"GET /1 HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n").await.expect("written");
        let head = until(&mut application, "\r\n\r\n").await.to_lowercase();
        assert!(!head.contains("connection:"), "{head}");
        application.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
        let mut said = String::new();
        client.read_to_string(&mut said).await.expect("to the end");
        assert!(said.to_lowercase().contains("connection: close\r\n") && said.ends_with("ok"), "{said}");

        let (mut client, mut application) = carried().await;
        client.write_all(b"GET /1 HTTP/1.1\r\nHost: api\r\n\r\n").await.expect("written");
        until(&mut application, "\r\n\r\n").await;
        application.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
        drop(application);
        let said = until(&mut client, "ok").await.to_lowercase();
        assert!(!said.contains("connection:"), "{said}");
        client.write_all(b"GET /2 HTTP/1.1\r\nHost: api\r\n\r\n").await.expect("the connection is open");
    });
}

/// Requirement: gRPC-Web passes as what it is, HTTP/1 with a body whose last part holds the trailers: nothing of it is read or changed.
#[test]
fn grpc_web_passes_through() {
    talk(async {
        let body = "\0\0\0\0\x05hello";
        let trailers = "\u{7f}\0\0\0\x0egrpc-status:0\n";
        let asked = format!(
            "POST /a.B/C HTTP/1.1\r\nHost: api\r\nContent-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\nContent-Length: 10\r\n\r\n{body}"
        );
        let answered = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: {}\r\n\r\n{body}{trailers}",
            body.len() + trailers.len()
        );
        let (arrived, came) = converse(&asked, body, &answered, trailers).await;
        assert!(arrived.contains("content-type: application/grpc-web+proto\r\n") && arrived.contains("x-grpc-web: 1\r\n"), "{arrived}");
        assert!(came.contains("content-type: application/grpc-web+proto\r\n") && came.ends_with(&format!("{body}{trailers}")), "{came}");
    });
}
