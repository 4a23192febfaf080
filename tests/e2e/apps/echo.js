// Says what Node's HTTP server understood of each request.
"use strict";
const http = require("node:http");
const { createHash } = require("node:crypto");

function fields(raw) {
  const joined = {};
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at].toLowerCase();
    joined[name] = name in joined ? `${joined[name]}, ${raw[at + 1]}` : raw[at + 1];
  }
  return joined;
}

const server = http.createServer((request, response) => {
  const digest = createHash("sha256");
  let length = 0;
  request.on("data", (piece) => {
    length += piece.length;
    digest.update(piece);
  });
  request.on("end", () => {
    const headers = fields(request.rawHeaders);
    const said = {
      method: request.method, target: request.url, host: headers.host ?? "", headers,
      trailers: fields(request.rawTrailers), length, digest: digest.digest("hex"),
    };
    const body = JSON.stringify(said);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  });
});
// Without a listener Node closes the connection without a word.
server.on("connect", (_, socket) => socket.end("HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
server.listen(Number(process.argv[2]), process.argv[3] ?? "0.0.0.0");
process.on("SIGTERM", () => process.exit(0));
