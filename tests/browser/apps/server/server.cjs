// SPDX-License-Identifier: MIT
// What the tests of transfers talk to: a WebSocket echo, server-sent events, uploads, downloads.
// Whatever has to arrive in time is sent in lock step: the next part only after the page has said
// that it has the one before, so a proxy that holds parts back is noticed without a clock.
'use strict';
const crypto = require('node:crypto');
const http = require('node:http');
const { once } = require('node:events');
const { WebSocketServer } = require('ws');

const closes = []; // what WebSockets were closed with by the page
const acks = new Map(); // name: the last part that the page has
const waiting = new Set();
const uploads = new Map(); // name: bytes that have come

function acknowledge(name, part) {
	acks.set(name, part);
	for (const wake of waiting) wake();
}

async function acknowledged(name, part) {
	while ((acks.get(name) ?? -1) < part)
		await new Promise((done) => {
			const wake = () => (waiting.delete(wake), done());
			waiting.add(wake);
		});
}

async function events(response, name) {
	response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
	for (let i = 0; i < 20; i++) {
		response.write(`id: ${i}\ndata: event ${i}\n\n`);
		await acknowledged(name, i);
	}
	response.end('event: end\ndata:\n\n');
}

async function upload(request, response, name) {
	const hash = crypto.createHash('sha256');
	let bytes = 0;

	for await (const chunk of request) {
		hash.update(chunk);
		bytes += chunk.length;
		uploads.set(name, bytes);
	}
	response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }));
}

// Bytes that look random; the first MB waits for no one, the rest waits until that has arrived.
async function download(response, name, bytes) {
	const hash = crypto.createHash('sha256');
	const stream = crypto.createCipheriv('aes-128-ctr', crypto.randomBytes(16), Buffer.alloc(16));
	const zeros = Buffer.alloc(1 << 20);

	response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes });
	for (let sent = 0; sent < bytes; sent += zeros.length) {
		const part = stream.update(zeros.subarray(0, Math.min(zeros.length, bytes - sent)));

		hash.update(part);
		if (!response.write(part)) await once(response, 'drain');
		if (sent === 0) await acknowledged(name, 0);
	}
	response.end();
	acks.set(`${name} sha256`, hash.digest('hex'));
}

// Halves of an answer whose length is known from the start.
async function slow(response, name) {
	response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 2000 });
	response.write('1'.repeat(1000));
	await acknowledged(name, 0);
	response.end('2'.repeat(1000));
}

async function answer(request, response) {
	const url = new URL(request.url, 'http://x');
	const name = url.searchParams.get('name');
	const json = (value) => response.end(JSON.stringify(value));

	switch (url.pathname) {
	case '/':
		response.setHeader('Content-Type', 'text/html');
		return response.end('<!doctype html><link rel="icon" href="data:,"><h1>server</h1>');
	case '/ack':
		acknowledge(name, Number(url.searchParams.get('part')));
		return json(true);
	case '/events':
		return events(response, name);
	case '/upload':
		return upload(request, response, name);
	case '/uploaded':
		return json(uploads.get(name) ?? 0);
	case '/download':
		return download(response, name, Number(url.searchParams.get('bytes')));
	case '/slow':
		return slow(response, name);
	case '/sha256':
		return json(acks.get(`${name} sha256`) ?? null);
	case '/closes':
		return json(closes);
	}
	response.statusCode = 404;
	return response.end();
}

const server = http.createServer((request, response) => {
	answer(request, response).catch((error) => {
		console.error(request.url, error);
		response.destroy();
	});
});

new WebSocketServer({ server, path: '/echo', maxPayload: 16 << 20 }).on('connection', (socket) => {
	socket.on('error', (error) => console.error('WebSocket:', error.message));
	socket.on('close', (code, reason) => closes.push([code, String(reason)]));
	socket.on('message', (data, binary) => {
		if (String(data) === 'close, please') socket.close(4001, 'as you wish');
		else if (String(data) === 'break, please') socket.terminate();
		else socket.send(data, { binary });
	});
});
server.listen(Number(process.env.PORT), '127.0.0.1');
