// SPDX-License-Identifier: MIT
// One that writes: in colours, to both streams, what would harm a page or a terminal, and a line for
// each request.
'use strict';
console.log('\x1b[1;32mready\x1b[0m in \x1b[38;5;208m12\x1b[0m ms');
console.log('\x1b]0;title\x07\x1b[2J<img src=x onerror=alert(1)> {{services}}');
console.error('\x1b[31mit broke\x1b[39m');
require('node:http')
	.createServer((request, response) => {
		console.log(`GET ${decodeURI(request.url)}`);
		response.setHeader('Content-Type', 'text/html');
		response.end('<!doctype html><link rel="icon" href="data:,"><h1>chatty app</h1>');
	})
	.listen(Number(process.env.PORT), '127.0.0.1');
