// Stock counts the yards on the shelf. A plain @grpc/grpc-js server; an empty shelf is refilled.
'use strict';

const os = require('node:os');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = process.env.LOOM_PROTO || path.join(__dirname, '..', 'loom.proto');
const loom = grpc.loadPackageDefinition(loader.loadSync(PROTO, { keepCase: true })).loom.v1;
const replica = process.env.HOSTNAME || os.hostname();

const FULL = 5000;
const shelf = { linen: FULL, wool: FULL, felt: FULL, silk: FULL };

function level(cloth) {
  return { cloth, yards: shelf[cloth], served_by: replica };
}

function reserve(call, done) {
  const { cloth, yards } = call.request;
  if (!Object.hasOwn(shelf, cloth)) {
    done({ code: grpc.status.NOT_FOUND, details: `no cloth named '${cloth}'` });
    return;
  }
  if (yards > FULL) {
    done({ code: grpc.status.RESOURCE_EXHAUSTED, details: `${yards} yards of ${cloth} were never here` });
    return;
  }
  if (shelf[cloth] < yards) shelf[cloth] = FULL;
  shelf[cloth] -= yards;
  done(null, level(cloth));
}

function levels(call) {
  for (const cloth of Object.keys(shelf)) call.write(level(cloth));
  call.end();
}

const server = new grpc.Server();
server.addService(loom.Stock.service, { Reserve: reserve, Levels: levels });
server.bindAsync(`0.0.0.0:${process.env.PORT || 8080}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
});
process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
