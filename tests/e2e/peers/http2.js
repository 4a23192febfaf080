// An HTTP/2 server and clients of Node's own http2 module: CONNECT, extended CONNECT, 1xx, trailers, gRPC-Web.
// usage: node http2.js serve PORT [STREAMS PER CONNECTION] | node http2.js CASE HOST PORT

const assert = require("node:assert");
const http2 = require("node:http2");

// --- the server

function serve(port, most = Infinity) {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on("session", (session) => {
    let streams = 0;
    session.on("error", () => {});
    // Says GOAWAY, finishes what it has taken, and takes nothing more.
    session.on("stream", () => ++streams === most && session.close());
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (headers[":method"] === "CONNECT") return connect(stream, headers);
    PAGES[headers[":path"]](stream, headers);
  });
  server.listen(port);
}

// Says what it was asked, then sends back what comes; ends when the client has ended.
function connect(stream, headers) {
  const { ":protocol": protocol = "", ":path": path = "", ":authority": authority, "l5d-client-id": client = "" } = headers;
  if (path === "/refused") return void stream.respond({ ":status": 403 }, { endStream: true });
  stream.respond({ ":status": 200, "x-asked": JSON.stringify({ protocol, path, authority, client }) });
  if (path === "/last-word") {
    let heard = "";
    stream.on("data", (data) => (heard += data));
    stream.on("end", () => (lastWord = heard));
    return void stream.end("bye");
  }
  stream.on("data", (data) => stream.write(data));
  stream.on("end", () => stream.end());
}

let lastWord = "";
const PAGES = {
  "/last-word": (stream) => (stream.respond({ ":status": 200 }), stream.end(lastWord)),
  "/early-hints"(stream) {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
    stream.additionalHeaders({ ":status": 102 });
    stream.respond({ ":status": 200 });
    stream.end("page");
  },
  "/continue"(stream, headers) {
    if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
    let body = "";
    stream.on("data", (data) => (body += data));
    stream.on("end", () => (stream.respond({ ":status": 200 }), stream.end(body)));
  },
  "/trailers"(stream) {
    let got = {};
    stream.on("trailers", (trailers) => (got = trailers));
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7", "x-theirs": got["x-ours"] ?? "none" }));
    stream.resume();
    stream.on("end", () => (stream.respond({ ":status": 200 }, { waitForTrailers: true }), stream.end("body")));
  },
  // gRPC-Web: the trailers are the last frame of the body, whatever carries it.
  "/shop.Basket/Add"(stream, headers) {
    let asked = "";
    stream.on("data", (data) => (asked += data.toString("latin1")));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": headers["content-type"], "x-web": headers["x-grpc-web"] });
      stream.write(Buffer.from(asked, "latin1"));
      stream.end(Buffer.from("\x80\0\0\0\x0fgrpc-status:5\r\n", "latin1"));
    });
  },
  "/": (stream) => (stream.respond({ ":status": 200 }), stream.end("page")),
  "/headers": (stream, headers) => (stream.respond({ ":status": 200 }), stream.end(JSON.stringify(headers))),
};

// --- the clients

// What came of one request: head, informational heads, body, trailers.
function exchange(session, headers, send = (stream) => stream.end(), options = {}) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: false, ...options });
    const came = { body: "", informational: [], trailers: {}, stream };
    stream.on("headers", (head) => came.informational.push(head));
    stream.on("response", (head) => (came.head = head));
    stream.on("trailers", (trailers) => (came.trailers = trailers));
    stream.on("data", (data) => (came.body += data));
    stream.on("end", () => resolve(came));
    stream.on("error", reject);
    send(stream, came);
  });
}

const once = (stream, event) => new Promise((resolve) => stream.once(event, resolve));
const websocket = (path) => ({ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": path });

const CASES = {
  async connect(session, authority) {
    return tunnel(session, { ":method": "CONNECT", ":authority": authority });
  },
  async websocket(session) {
    return tunnel(session, websocket("/chat?room=1"));
  },
  async refused(session) {
    const { head } = await exchange(session, websocket("/refused"), () => {});
    return { status: head[":status"] };
  },
  // The server ends its bytes first.
  async last_word(session) {
    const came = await exchange(session, websocket("/last-word"), () => {});
    came.stream.end("but listen");
    await once(came.stream, "close");
    for (;;) {
      const { body } = await exchange(session, { ":path": "/last-word" });
      if (body) return { bye: came.body, heard: body };
    }
  },
  async early_hints(session) {
    const { head, informational, body } = await exchange(session, { ":path": "/early-hints" });
    return { statuses: [...informational.map((each) => each[":status"]), head[":status"]], link: informational[0].link, body };
  },
  // Sends its body only when told to go on.
  async continue_(session) {
    const { head, body } = await exchange(session, { ":path": "/continue", ":method": "POST", expect: "100-continue" },
      (stream) => stream.on("continue", () => stream.end("after 100")));
    return { status: head[":status"], body };
  },
  async trailers(session) {
    const { body, trailers } = await exchange(session, { ":path": "/trailers", ":method": "POST" }, (stream) => {
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-ours": "kept" }));
      stream.end("body");
    }, { waitForTrailers: true });
    return { body, trailers: { ...trailers } };
  },
  async grpc_web(session) {
    const said = {};
    for (const kind of ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"]) {
      const headers = { ":path": "/shop.Basket/Add", ":method": "POST", "content-type": kind, "x-grpc-web": "1" };
      const { head, body, trailers } = await exchange(session, headers, (stream) => {
        stream.setEncoding("latin1");
        stream.end(Buffer.from("\0\0\0\0\x05h\xe9llo", "latin1"));
      });
      said[head["content-type"]] = { status: head[":status"], web: head["x-web"], body, trailers: { ...trailers } };
    }
    return said;
  },
  async grpc_timeout(session) {
    const { body } = await exchange(session, { ":path": "/headers", ":method": "POST", "grpc-timeout": "7S", te: "trailers" });
    const { "grpc-timeout": timeout, te } = JSON.parse(body);
    return { timeout, te };
  },
};

// Sends one piece when the one before has come back, then ends; the far end must end too.
async function tunnel(session, headers) {
  const pieces = ["one", "two", "x".repeat(200000)];
  const { head, body } = await exchange(session, headers, async (stream, came) => {
    await once(stream, "response");
    let sent = "";
    for (const piece of pieces) {
      stream.write(piece);
      sent += piece;
      while (came.body.length < sent.length) await once(stream, "data");
    }
    stream.end();
  });
  assert.strictEqual(body, pieces.join(""));
  return { status: head[":status"], asked: JSON.parse(head["x-asked"]) };
}

async function main() {
  const [what, ...where] = process.argv.slice(2);
  if (what === "serve") return serve(...where.map(Number));
  const session = http2.connect(`http://${where.join(":")}`);
  if (!session.remoteSettings?.enableConnectProtocol) await once(session, "remoteSettings");
  const said = await CASES[what](session, where.join(":"));
  console.log(JSON.stringify(said));
  session.close();
}

main();
