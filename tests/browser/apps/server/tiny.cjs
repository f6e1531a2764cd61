// SPDX-License-Identifier: MIT
// The smallest of pages.
'use strict';
require('node:http')
	.createServer((request, response) => {
		response.setHeader('Content-Type', 'text/html');
		response.end('<!doctype html><link rel="icon" href="data:,"><h1>tiny app</h1>');
	})
	.listen(Number(process.env.PORT), '127.0.0.1');
