// SPDX-License-Identifier: MIT
// The dev server of the rows about `devmesh run`: listens on PORT, says who it is, and moves bytes.
//	GET /			"<pid> <directory>"
//	GET /bytes/N	N bytes
//	PUT /			how many bytes came
"use strict";
const http = require("http");

const chunk = Buffer.alloc(256 * 1024, "devmesh\n");

function send(response, left) {
	while (left > 0) {
		const n = Math.min(left, chunk.length);

		left -= n;
		if (!response.write(n === chunk.length ? chunk : chunk.subarray(0, n))) {
			response.once("drain", () => send(response, left));
			return;
		}
	}
	response.end();
}

function answer(request, response) {
	const bytes = /^\/bytes\/(\d+)$/.exec(request.url);
	let came = 0;

	response.setHeader("Content-Type", "text/plain");
	if (bytes) {
		response.setHeader("Content-Length", bytes[1]);
		send(response, Number(bytes[1]));
	} else if (request.method === "PUT") {
		request.on("data", (data) => (came += data.length));
		request.on("end", () => response.end(`${came}\n`));
	} else {
		response.end(`${process.pid} ${process.cwd()}\n`);
	}
}

const server = http.createServer(answer);

server.keepAliveTimeout = 60000;
server.listen(Number(process.env.PORT), "127.0.0.1");
