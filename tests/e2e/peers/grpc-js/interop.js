// grpc-js's client against the interoperability services: runs every case, prints what came of each as JSON.
// usage: node interop.js PROTO TARGET

const assert = require("node:assert");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [protocol, target] = process.argv.slice(2);
const { TestService, UnimplementedService } = grpc.loadPackageDefinition(
  loader.loadSync(protocol, { keepCase: true }),
).grpc.testing;

const LARGE_REQUEST = 271828, LARGE_RESPONSE = 314159;
const SIZES = [[27182, 31415], [8, 9], [1828, 2653], [45904, 58979]];
const ECHO = "x-grpc-test-echo-initial", ECHO_BINARY = "x-grpc-test-echo-trailing-bin";
const DIFFICULT = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

const payload = (size) => ({ body: Buffer.alloc(size) });
const large = () => ({ response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) });
const asking = (request, response) => ({ response_parameters: [{ size: response }], payload: payload(request) });
const patience = () => ({ deadline: Date.now() + 30000 });

// What came of one unary call: the answer, and the metadata at both ends. Rejects with the call's error.
function unary(client, method, request, metadata = new grpc.Metadata(), options = patience()) {
  return new Promise((resolve, reject) => {
    let initial, trailing;
    const call = client[method](request, metadata, options, (error, answer) => {
      // The status, which carries the trailers, comes after the answer.
      if (error) reject(error);
      else setImmediate(() => resolve({ answer, initial, trailing }));
    });
    call.on("metadata", (got) => (initial = got));
    call.on("status", (got) => (trailing = got.metadata));
  });
}

// All answers of a stream, when it has ended well.
function collect(call) {
  return new Promise((resolve, reject) => {
    const answers = [];
    call.on("data", (answer) => answers.push(answer));
    call.on("error", reject);
    call.on("end", () => resolve(answers));
  });
}

async function fails(code, promise) {
  const error = await promise.then(() => assert.fail(`no status ${code}`), (error) => error);
  assert.strictEqual(error.code, code, String(error));
  return error;
}

const sizes = (answers) => answers.map((answer) => answer.payload.body.length);

const CASES = {
  async empty_unary(client) {
    await unary(client, "EmptyCall", {});
  },
  async large_unary(client) {
    const { answer } = await unary(client, "UnaryCall", large());
    assert.strictEqual(answer.payload.body.length, LARGE_RESPONSE);
  },
  async concurrent_large_unary(client) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => unary(client, "UnaryCall", large())));
    for (const { answer } of answers) assert.strictEqual(answer.payload.body.length, LARGE_RESPONSE);
  },
  async client_streaming(client) {
    const answer = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall(patience(), (error, got) => (error ? reject(error) : resolve(got)));
      for (const [size] of SIZES) call.write({ payload: payload(size) });
      call.end();
    });
    assert.strictEqual(answer.aggregated_payload_size, SIZES.reduce((sum, [size]) => sum + size, 0));
  },
  async server_streaming(client) {
    const wanted = SIZES.map(([, size]) => size);
    const request = { response_parameters: wanted.map((size) => ({ size })) };
    assert.deepStrictEqual(sizes(await collect(client.StreamingOutputCall(request, patience()))), wanted);
  },
  // Sends the next request only when the one before was answered.
  async ping_pong(client) {
    const call = client.FullDuplexCall(patience());
    const answers = [];
    await new Promise((resolve, reject) => {
      const next = () => (answers.length < SIZES.length ? call.write(asking(...SIZES[answers.length])) : call.end());
      call.on("data", (answer) => (answers.push(answer), next()));
      call.on("error", reject);
      call.on("end", resolve);
      next();
    });
    assert.deepStrictEqual(sizes(answers), SIZES.map(([, size]) => size));
  },
  async empty_stream(client) {
    const call = client.FullDuplexCall(patience());
    call.end();
    assert.deepStrictEqual(await collect(call), []);
  },
  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall({ deadline: Date.now() + 1 });
    call.write({ payload: payload(27182) });
    await fails(grpc.status.DEADLINE_EXCEEDED, collect(call));
  },
  async cancel_after_begin(client) {
    await fails(grpc.status.CANCELLED, new Promise((resolve, reject) => {
      const call = client.StreamingInputCall(patience(), (error, got) => (error ? reject(error) : resolve(got)));
      call.cancel();
    }));
  },
  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall(patience());
    call.once("data", () => call.cancel());
    call.write(asking(27182, 31415));
    await fails(grpc.status.CANCELLED, collect(call));
  },
  async status_code_and_message(client) {
    const response_status = { code: 2, message: "test status message" };
    const one = await fails(grpc.status.UNKNOWN, unary(client, "UnaryCall", { response_status }));
    const call = client.FullDuplexCall(patience());
    call.write({ response_status });
    call.end();
    const other = await fails(grpc.status.UNKNOWN, collect(call));
    assert.deepStrictEqual([one.details, other.details], [response_status.message, response_status.message]);
  },
  async special_status_message(client) {
    const response_status = { code: 2, message: DIFFICULT };
    const failed = await fails(grpc.status.UNKNOWN, unary(client, "UnaryCall", { response_status }));
    assert.strictEqual(failed.details, DIFFICULT);
  },
  async custom_metadata(client) {
    const sent = new grpc.Metadata();
    sent.set(ECHO, "test_initial_metadata_value");
    sent.set(ECHO_BINARY, Buffer.from([0xab, 0xab, 0xab]));
    const { initial, trailing } = await unary(client, "UnaryCall", large(), sent);
    assert.deepStrictEqual(initial.get(ECHO), ["test_initial_metadata_value"]);
    assert.deepStrictEqual(trailing.get(ECHO_BINARY), [Buffer.from([0xab, 0xab, 0xab])]);
  },
  async unimplemented_method(client) {
    await fails(grpc.status.UNIMPLEMENTED, unary(client, "UnimplementedCall", {}));
  },
  async unimplemented_service() {
    const other = new UnimplementedService(target, grpc.credentials.createInsecure());
    await fails(grpc.status.UNIMPLEMENTED, unary(other, "UnimplementedCall", {}));
    other.close();
  },
};

async function main() {
  const came = {};
  const client = new TestService(target, grpc.credentials.createInsecure());
  for (const [name, run] of Object.entries(CASES)) {
    came[name] = await run(client).then(() => "ok", String);
  }
  client.close();
  console.log(JSON.stringify(came));
}

// The library keeps the timers of deadlines that no longer matter.
main().then(() => process.exit());
