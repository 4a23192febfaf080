// A WebSocket server and client on the package `ws`; the same conversations as websocket.py has, in the same words.
"use strict";
const { WebSocket, WebSocketServer } = require("ws");
const LIMIT = 64 << 20;
const [what, where, deflate] = [process.argv[2], process.argv[3], process.argv[4] === "deflate"];

function serve(port) {
  const server = new WebSocketServer({ port, perMessageDeflate: true, maxPayload: LIMIT, handleProtocols: () => "chat" });
  const closes = [];
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("close", (code, reason) => closes.push([code, reason.toString()]));
    socket.on("message", (data, binary) => {
      const text = binary ? "" : data.toString();
      if (text === "close me") return socket.close(4002, "as asked: é");
      if (text === "drop me") return socket.terminate();
      if (text === "closes") return socket.send(JSON.stringify(closes.splice(0)));
      if (text === "ping me") {
        socket.once("pong", (payload) => socket.send(`pong ${payload}`));
        return socket.ping("from the server");
      }
      socket.send(data, { binary });
    });
  });
}

const open = (url) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, "chat", { perMessageDeflate: deflate, maxPayload: LIMIT });
    socket.once("error", reject);
    socket.once("open", () => resolve(socket));
  });
const answer = (socket, message) =>
  new Promise((resolve) => {
    socket.once("message", (data, binary) => resolve(binary ? data : data.toString()));
    socket.send(message);
  });
const end = (socket) => new Promise((resolve) => socket.once("close", (code, reason) => resolve([code, reason.toString()])));

async function ask(url) {
  const said = {};
  const socket = await open(url);
  said.extensions = socket.extensions;
  said.protocol = socket.protocol;
  said.text = await answer(socket, "grüße 🜁");
  said.empty = await answer(socket, "");
  const every = Buffer.from(Array.from({ length: 256 }, (_, number) => number));
  said.binary = every.equals(await answer(socket, every));
  const large = Buffer.alloc(8 << 20, every);
  said.large = large.equals(await answer(socket, large));
  const pong = new Promise((resolve) => socket.once("pong", (payload) => resolve(payload.toString())));
  socket.ping("from the client");
  said.pong = await pong;
  said.pinged = await answer(socket, "ping me");
  const closing = end(socket);
  socket.close(4001, "done: é");
  said.own = await closing;

  for (const request of ["close me", "drop me"]) {
    const other = await open(url);
    const ended = end(other);
    other.send(request);
    said[request] = await ended;
  }
  (await open(url)).terminate();

  const observer = await open(url);
  const saw = (...codes) => said.seen.some(([code]) => codes.includes(code));
  said.seen = [];
  for (let tries = 0; tries < 500; tries++) {
    said.seen.push(...JSON.parse(await answer(observer, "closes")));
    if (saw(4001) && saw(1005, 1006)) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  observer.close();
  console.log(JSON.stringify(said));
}

if (what === "serve") serve(Number(where));
else ask(where);
