// SPDX-License-Identifier: MIT
// Chromium, and pages of which everything that must not happen unnoticed is written down.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packages } from './world.mjs';

function chromium() {
	for (const dir of process.env.PATH.split(':'))
		for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
			const file = path.join(dir, name);
			if (fs.existsSync(file)) return file;
		}
	throw new Error('there is no chromium in PATH: sh tests/setup.sh check');
}

// With `home` as its home, where its trust store is. No flag of it touches certificates.
export async function launch(env, home, args = [], program = chromium()) {
	if (!fs.existsSync(path.join(packages, 'playwright-core')))
		throw new Error(`playwright-core is not in ${packages}: make check-browser`);
	const { chromium: type } = createRequire(path.join(packages, 'x'))('playwright-core');

	return type.launch({
		executablePath: program,
		env: { ...env, HOME: home },
		args,
		chromiumSandbox: false, // neither root nor a container can have it
		handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
	});
}

// A page with .seen: loads (of the main frame), errors (console and uncaught), refused (answers of
// 400 and above), sockets ({url, open, received}).
export async function watchedPage(context) {
	const page = await context.newPage();
	const seen = { loads: 0, errors: [], refused: [], sockets: [] };

	page.seen = seen;
	page.on('domcontentloaded', () => seen.loads++);
	page.on('console', (message) => {
		if (message.type() === 'error') seen.errors.push(message.text());
	});
	page.on('pageerror', (error) => seen.errors.push(String(error)));
	page.on('response', (response) => {
		if (response.status() >= 400) seen.refused.push(`${response.status()} ${response.url()}`);
	});
	page.on('websocket', (socket) => {
		const entry = { url: socket.url(), open: true, received: [] };

		seen.sockets.push(entry);
		socket.on('framereceived', ({ payload }) => entry.received.push(String(payload).slice(0, 4096)));
		socket.on('close', () => (entry.open = false));
	});
	return page;
}
