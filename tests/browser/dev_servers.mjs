// SPDX-License-Identifier: MIT
// Dev servers with hot reload, and the pages that they serve.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { launch } from './browser.mjs';
import { out, until } from './world.mjs';

const text = (page, selector) => page.locator(selector).textContent();
const shows = (page, selector, wanted) =>
	until(() => `${selector} shows "${wanted}"`,
		async () => (await text(page, selector).catch(() => null)) === wanted);

function edit(dir, file, from, to) {
	const name = path.join(dir, file);
	const old = fs.readFileSync(name, 'utf8');

	assert.ok(old.includes(from), `${file} has "${from}"`);
	fs.writeFileSync(name, old.replace(from, to));
}

// What only lives as long as the document does.
async function mark(page) {
	await page.evaluate(() => (window.marker = 'still here'));
}

async function assertUntouched(page) {
	assert.equal(await page.evaluate(() => window.marker), 'still here', 'the page was reloaded');
	assert.equal(page.seen.loads, 1, 'the page was loaded again');
	assert.deepEqual(page.seen.errors, []);
	assert.deepEqual(page.seen.refused, []);
	assert.ok(page.seen.sockets.length > 0, 'there is no WebSocket');
	assert.deepEqual(page.seen.sockets.filter((socket) => !socket.open), [], 'a WebSocket was closed');
}

// A trusted page of this service, and of no other one.
async function open(t, page, url, id) {
	const response = await page.goto(url);
	const security = await response.securityDetails();

	assert.equal(response.status(), 200);
	assert.equal((await response.allHeaders())['x-devmesh-id'], id);
	assert.match(security.issuer, /^devmesh local - /);
	assert.match(security.protocol, /^TLS 1\.[23]$/);
	assert.equal(new URL(page.url()).host, `${id}.dev.localhost:${t.world.https}`);
}

async function openVite(t, page, url, id) {
	await open(t, page, url, id);
	await until('Vite is connected', () => page.seen.sockets.some((socket) =>
		socket.open && socket.received.some((data) => data.includes('"connected"'))));
}

const updates = (page) => page.seen.sockets.flatMap((socket) => socket.received)
	.filter((data) => data.includes('"update"')).length;

// Two worktrees of one repository, a Vite in each.
async function vites(t, name) {
	const example = 'vite';
	const a = await t.world.repo(name, 'vite', { example });
	const b = await t.world.worktree(a, 'feature/blue', { example });
	const [runA, runB] = await Promise.all([t.run(a, 'npx', 'vite'), t.run(b, 'npm', 'run', 'dev')]);

	return { a, b, runA, runB, pageA: await t.page(), pageB: await t.page() };
}

// Without the CA the browser refuses the same page: it is the CA that opens it, and no flag.
async function refusedWithoutCa(t) {
	const dir = await t.world.repo('stranger', 'server');
	const service = await t.run(dir, 'node', 'tiny.cjs');
	const home = path.join(t.world.dir, 'stranger-home');

	fs.mkdirSync(home);
	const browser = await launch(t.world.env, home);
	try {
		const page = await browser.newPage();
		await assert.rejects(page.goto(service.url), /ERR_CERT_AUTHORITY_INVALID/);
	} finally {
		await browser.close();
	}
	const page = await t.page();
	await open(t, page, service.url, 'stranger-main');
	assert.equal(await text(page, 'h1'), 'tiny app');
}

async function viteInTwoWorktrees(t) {
	const { a, runA, runB, pageA, pageB } = await vites(t, 'shop');

	await openVite(t, pageA, runA.url, 'shop-main');
	await openVite(t, pageB, runB.url, 'shop-feature-blue');
	await shows(pageA, '#branch', 'main');
	await shows(pageB, '#branch', 'feature/blue');
	for (const page of [pageA, pageB]) {
		await shows(page, '#banner', 'banner one');
		await page.fill('#note', 'typed by hand');
		await mark(page);
	}
	await pageA.screenshot({ path: path.join(out, 'vite.png') });

	edit(a, 'banner.js', 'banner one', 'banner two');
	await shows(pageA, '#banner', 'banner two');
	assert.ok(updates(pageA) >= 1, 'the update came by the WebSocket');
	assert.equal(await pageA.inputValue('#note'), 'typed by hand');

	assert.equal(updates(pageB), 0);
	assert.equal(await text(pageB, '#banner'), 'banner one');
	assert.equal(await pageB.inputValue('#note'), 'typed by hand');
	await assertUntouched(pageA);
	await assertUntouched(pageB);

	// each is what it claims to be, and not the other one
	const own = JSON.parse((await t.world.devmesh(a, 'assert', '--json')).stdout);
	assert.equal(own.actual, a);
	await t.world.devmesh(a, 'assert', runA.url);
	await t.world.devmesh(`${a}-feature-blue`, 'assert', runB.url);
	const wrong = await t.world.devmeshFails(a, 'assert', runB.url);
	assert.equal(wrong.code, 4);
	assert.match(wrong.stderr, /shop-feature-blue/);
}

// 50 times something happens to other worktrees, and an open page does not notice.
async function othersComeAndGo(t) {
	const a = await t.world.repo('calm', 'vite', { example: 'vite' });
	const run = await t.run(a, 'npx', 'vite');
	const page = await t.page();
	const others = [await t.world.repo('busy', 'server')];
	const running = new Map();
	const did = { up: 0, run: 0, down: 0 };

	others.push(...await Promise.all(['one', 'two/x', 'three'].map((branch) =>
		t.world.worktree(others[0], branch))));
	await t.world.git(a, 'worktree', 'add', '-q', '-b', 'sibling', `${a}-sibling`);
	fs.copyFileSync(path.join(others[0], 'tiny.cjs'), path.join(`${a}-sibling`, 'tiny.cjs'));
	others.push(`${a}-sibling`);
	await openVite(t, page, run.url, 'calm-main');
	await page.fill('#note', 'typed by hand');
	await mark(page);

	// each in turn: up, run, down while it runs; or up and down
	for (let i = 0; i < 50; i++) {
		const dir = others[i % others.length];

		await t.world.devmesh(dir, 'up');
		did.up++;
		if (i % 3 !== 2) {
			running.set(dir, await t.run(dir, 'node', 'tiny.cjs'));
			did.run++;
			// two at a time
			if (i % 2 === 0) continue;
		}
		for (const one of [dir, others[(i + others.length - 1) % others.length]]) {
			if (one !== dir && !running.has(one)) continue;
			await t.world.devmesh(one, 'down');
			did.down++;
			if (running.has(one)) await running.get(one).ended;
			running.delete(one);
		}
	}
	assert.ok(did.up === 50 && did.run > 30 && did.down > 30, JSON.stringify(did));
	await assertUntouched(page);
	assert.equal(page.seen.sockets.length, 1);
	assert.equal(await page.inputValue('#note'), 'typed by hand');

	// and hot reload is as alive as before
	edit(a, 'banner.js', 'banner one', 'banner two');
	await shows(page, '#banner', 'banner two');
	await assertUntouched(page);
}

async function nextInTwoWorktrees(t) {
	const example = 'next';
	const a = await t.world.repo('store', 'next', { example });
	const b = await t.world.worktree(a, 'feature/blue', { example });
	const runs = await Promise.all([a, b].map((dir) => t.run(dir, 'npm', 'run', 'dev')));
	const ids = ['store-main', 'store-feature-blue'];
	const pages = [await t.page(), await t.page()];

	for (const [i, page] of pages.entries()) {
		await open(t, page, runs[i].url, ids[i]);
		await until('Next.js is connected', () => page.seen.sockets.some((socket) =>
			socket.open && socket.received.length > 0));
		// it counts as soon as React has taken the page over
		await until('the button counts', async () => {
			await page.click('#clicks');
			return (await text(page, '#clicks')) !== 'clicks: 0';
		});
		await mark(page);
	}
	await shows(pages[0], '#branch', 'main');
	await shows(pages[1], '#branch', 'feature/blue');
	const counts = await Promise.all(pages.map((page) => text(page, '#clicks')));

	edit(a, 'app/clicks.jsx', "'clicks'", "'presses'");
	await shows(pages[0], '#clicks', counts[0].replace('clicks', 'presses'));
	edit(a, 'app/page.jsx', '{branch}', '{`${branch}!`}');
	await shows(pages[0], '#branch', 'main!');
	assert.equal(await text(pages[0], '#clicks'), counts[0].replace('clicks', 'presses'));
	assert.equal(await text(pages[1], '#clicks'), counts[1]);
	for (const page of pages) await assertUntouched(page);
}

// The server ends while its page is open, and comes back; so does the page.
async function viteStopsAndStarts(t) {
	const dir = await t.world.repo('phoenix', 'vite', { example: 'vite' });
	const first = await t.run(dir, 'npx', 'vite');
	const page = await t.page();

	await openVite(t, page, first.url, 'phoenix-main');
	await shows(page, '#banner', 'banner one');
	await mark(page);
	await first.end();
	await until('the page notices', () => page.seen.sockets.every((socket) => !socket.open));
	const gone = await t.world.devmeshFails(dir, 'assert', first.url);
	assert.equal(gone.code, 3); // it has taken its name back

	edit(dir, 'banner.js', 'banner one', 'banner two');
	const second = await t.run(dir, 'npx', 'vite');
	assert.equal(second.url, first.url);
	await shows(page, '#banner', 'banner two');
	assert.equal(await page.evaluate(() => window.marker), undefined);
	await t.world.devmesh(dir, 'assert', first.url);
	await until('hot reload is back', () => page.seen.sockets.some((socket) =>
		socket.open && socket.received.some((data) => data.includes('"connected"'))));
	edit(dir, 'banner.js', 'banner two', 'banner three');
	await shows(page, '#banner', 'banner three');
}

export default {
	refused_without_the_ca: refusedWithoutCa,
	vite_in_two_worktrees: viteInTwoWorktrees,
	others_come_and_go: othersComeAndGo,
	vite_stops_and_starts: viteStopsAndStarts,
	next_in_two_worktrees: nextInTwoWorktrees,
};
