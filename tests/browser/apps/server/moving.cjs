// SPDX-License-Identifier: MIT
// A server that is restarted on another port at each POST /restart, as dev servers do: the old
// process stops to listen, then a new one starts, and only when that listens the old one answers
// what it still has and ends.
'use strict';
const http = require('node:http');
const { fork } = require('node:child_process');

function child() {
	let held = []; // answered when the next process listens
	let closing = false;
	const server = http.createServer((request, response) => {
		response.setHeader('X-Pid', process.pid);
		if (request.url === '/held' || closing) held.push(response);
		else if (request.url === '/restart') response.end('restarting', stop);
		else response.end('<!doctype html><link rel="icon" href="data:,"><h1>moving</h1>');
	});
	const stop = () => {
		closing = true;
		server.close(() => process.exit(0));
		process.send('stopped');
	};

	server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send('listens'));
	process.on('message', () => {
		for (const response of held) response.end('answered at last');
		held = [];
	});
	process.on('disconnect', () => process.exit(0));
}

function start(port, old) {
	const next = fork(__filename, ['child'], { env: { ...process.env, PORT: port } });

	next.on('message', (what) => {
		if (what === 'stopped') start(0, next);
		else if (old) old.send('answer');
	});
}

if (process.argv[2] === 'child') child();
else start(process.env.PORT);
