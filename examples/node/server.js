// SPDX-License-Identifier: MIT
// A Node.js server on the Unix socket of its worktree. In the worktree:
//   devmesh run -- node server.js
// or: devmesh up && eval "$(devmesh env)" && node server.js
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');

const path = process.env.DEVMESH_SOCKET;
if (!path) {
  console.error('DEVMESH_SOCKET is not set: eval "$(devmesh env)"');
  process.exit(2);
}

const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(`${req.method} ${req.url} in ${process.cwd()}\n`);
});

function listen() {
  server.on('error', (e) => {
    console.error(`${path}: ${e.message}`);
    process.exit(1);
  });
  server.listen(path, () => {
    fs.chmodSync(path, 0o666); // Caddy may run as another user: it has to write to the socket
    console.log(`listening for ${process.env.DEVMESH_URL}`);
  });
}

// A file left by a server that was killed refuses connections, and goes. If somebody answers, the
// file is theirs.
const probe = net.connect(path);
probe.on('connect', () => {
  console.error(`${path}: another server listens already`);
  process.exit(1);
});
probe.on('error', (e) => {
  if (e.code === 'ECONNREFUSED') fs.unlinkSync(path);
  listen();
});

// close() removes the file; a second signal does not wait for requests in flight
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => server.close(() => process.exit(0)));
}
