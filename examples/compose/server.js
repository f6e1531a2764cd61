// SPDX-License-Identifier: MIT
'use strict';
const http = require('http');

const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(`${req.method} ${req.url} for ${req.headers.host}\n`);
});

server.listen(Number(process.env.PORT));
process.once('SIGTERM', () => server.close());
