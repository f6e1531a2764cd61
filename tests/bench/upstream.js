// SPDX-License-Identifier: MIT
// The trivial service that every proxy of the bench stands in front of: answers "ok" on a Unix
// socket and on a TCP port at once, and echoes WebSocket frames.
//	node upstream.js SOCKET PORT
"use strict";
const http = require("http");
const fs = require("fs");
const { createHash } = require("crypto");

const [path, port] = process.argv.slice(2);

function answer(request, response) {
	response.setHeader("Content-Type", "text/plain");
	response.end("ok\n");
}

function upgrade(request, socket) {
	const accept = createHash("sha1")
		.update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
		.digest("base64");

	socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" +
		`Connection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
	socket.on("error", () => socket.destroy());
	socket.on("data", (frame) => {
		// The bench sends one short masked frame at a time, with a mask of zeros.
		if (frame.length < 6 || (frame[0] & 15) !== 1)
			return socket.end();
		const text = frame.subarray(6);
		socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
	});
}

for (const where of [path, { port: Number(port), host: "127.0.0.1" }]) {
	const server = http.createServer(answer);

	server.keepAliveTimeout = 60000;
	server.on("upgrade", upgrade);
	server.listen(where, () => where === path && fs.chmodSync(path, 0o666));
}
