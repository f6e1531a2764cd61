// SPDX-License-Identifier: MIT
// The dashboard, with a devmeshd, services and worktrees that are real.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { watchedPage } from './browser.mjs';
import { out, packages, until } from './world.mjs';

const row = (page, id) => page.locator(`#table tr[data-id="${id}"]`);
const state = (page, id) => row(page, id).locator('.badge').textContent();
const ids = (page) => page.locator('#table tr[data-id]').evaluateAll((rows) => rows.map((r) => r.dataset.id));

// A daemon that ends with the test, whatever happens.
const withDaemon = (test) => async (t) => {
	await t.world.devmesh(t.world.dir, 'daemon', 'start');
	try {
		await test(t);
	} finally {
		await t.world.devmesh(t.world.dir, 'daemon', 'stop');
	}
};

async function opened(t, { hash = '', login = false, page, ...options } = {}) {
	let context;

	if (Object.keys(options).length) {
		context = await t.world.browser.newContext(options);
		page = await watchedPage(context);
	}
	page ??= await t.page();
	page.end = async () => context?.close();
	if (login) {
		await page.goto((await t.world.devmesh(t.world.dir, 'open', '--print')).stdout.trim());
		await until('the address is clean', () => page.url() === t.world.url('devmesh'));
	}
	await page.goto(t.world.url('devmesh') + hash);
	if (options.javaScriptEnabled !== false)
		await until('the page is live', () => page.evaluate(() =>
			document.querySelector('#live').textContent === 'live' && document.querySelector('#table tr[data-id="devmesh"] .open-detail') !== null
			|| location.hash !== '' && document.querySelector('#live').textContent === 'live'));
	return page;
}

const shows = (page, id, what) => until(`${id} is ${what}`, async () => (await row(page, id).count()) > 0 && (await state(page, id)) === what);

async function showsWhatRuns(t) {
	const repo = await t.world.repo('deck', 'server');
	const other = await t.world.worktree(repo, 'feature/auth');
	const main = await t.run(repo, 'node', 'tiny.cjs');
	await t.run(other, 'node', 'tiny.cjs');
	const page = await t.page();
	const elsewhere = [];

	page.on('request', (request) => {
		if (new URL(request.url()).origin !== new URL(t.world.url('devmesh')).origin) elsewhere.push(request.url());
	});
	await opened(t, { page });
	await shows(page, 'deck-main', 'up');
	await shows(page, 'deck-feature-auth', 'up');
	// one look tells which worktree is behind which URL
	const text = await row(page, 'deck-feature-auth').innerText();
	for (const part of ['feature/auth', t.world.url('deck-feature-auth').replace(/\/$/, ''), other, 'node'])
		assert.ok(text.includes(part), `${part} in ${text}`);
	assert.equal(await page.locator('#table tbody', { has: page.locator('tr[data-id="deck-main"]') }).locator('.group bdi').textContent(), 'deck');
	await page.screenshot({ path: path.join(out, 'dashboard.png') });
	assert.deepEqual(elsewhere, []);
	assert.deepEqual(page.seen.errors, []);
	await row(page, 'deck-main').locator('td.url a').click();
	await until('the app', async () => (await page.locator('h1').textContent()) === 'tiny app');
	assert.equal(page.url(), `${main.url}/`);
}

async function isLive(t) {
	const repo = await t.world.repo('livedeck', 'server');
	const page = await opened(t);

	const first = await t.run(repo, 'node', 'tiny.cjs');
	await shows(page, 'livedeck-main', 'up');
	// what has the focus keeps it, whatever changes around it
	await row(page, 'livedeck-main').locator('.open-detail').focus();
	const wt = await t.world.worktree(repo, 'second');
	await t.run(wt, 'node', 'tiny.cjs');
	await shows(page, 'livedeck-second', 'up');
	assert.equal(await page.evaluate(() => document.activeElement.closest('tr')?.dataset.id), 'livedeck-main');
	await row(page, 'livedeck-second').locator('.open-detail').focus();
	await first.end();
	await until('it is gone', async () => (await row(page, 'livedeck-main').count()) === 0);
	assert.equal(await page.evaluate(() => document.activeElement.closest('tr')?.dataset.id), 'livedeck-second');
	await page.locator('nav a[data-view="events"]').click();
	await until('the event', async () => (await page.locator('#log').innerText()).includes('livedeck-main: gone'));
	assert.equal(page.seen.loads, 1);
	assert.deepEqual(page.seen.errors, []);
}

async function pauses(t) {
	const repo = await t.world.repo('pausedeck', 'server');
	const page = await opened(t);

	await page.keyboard.press('p');
	assert.equal(await page.locator('#live').textContent(), 'paused');
	const sure = await opened(t, { page: await t.page() });
	await t.run(repo, 'node', 'tiny.cjs');
	await shows(sure, 'pausedeck-main', 'up');
	assert.equal(await row(page, 'pausedeck-main').count(), 0);
	// what the user does is done all the same
	await page.locator('nav a[data-view="events"]').click();
	await until('the other view', () => page.locator('#events').isVisible());
	await page.locator('nav a[data-view="services"]').click();
	await page.locator('#live').click();
	await shows(page, 'pausedeck-main', 'up');
}

async function withoutJavaScript(t) {
	const repo = await t.world.repo('plaindeck', 'server');

	await t.run(repo, 'node', 'tiny.cjs');
	const page = await opened(t, { javaScriptEnabled: false });
	await until('it is in the table', async () => {
		await page.reload();
		return (await row(page, 'plaindeck-main').count()) === 1 && (await state(page, 'plaindeck-main')) === 'up';
	});
	assert.ok((await row(page, 'plaindeck-main').innerText()).includes(repo));
	assert.equal(await page.locator('.js:visible').count(), 0);
	await page.screenshot({ path: path.join(out, 'dashboard-plain.png') });
	await row(page, 'plaindeck-main').locator('a').click();
	assert.equal(page.url(), t.world.url('plaindeck-main'));
	await page.end();
}

async function byKeyboard(t) {
	const repo = await t.world.repo('keydeck', 'server');
	const wt = await t.world.worktree(repo, 'one');

	await t.run(repo, 'node', 'tiny.cjs');
	await t.run(wt, 'node', 'tiny.cjs');
	const page = await opened(t);
	await shows(page, 'keydeck-main', 'up');
	await shows(page, 'keydeck-one', 'up');
	const focused = () => page.evaluate(() => document.activeElement.closest('tr')?.dataset.id ?? document.activeElement.id);

	await page.keyboard.press('/');
	await page.keyboard.type('keydeck');
	await until('only these', async () => String(await ids(page)) === 'keydeck-main,keydeck-one');
	assert.ok(page.url().endsWith('#q=keydeck'));
	await page.keyboard.press('Tab'); // out of the field
	await page.keyboard.press('j');
	await page.keyboard.press('j');
	await until('the second has the focus', async () => (await focused()) === 'keydeck-one');
	await page.keyboard.press('k');
	assert.equal(await focused(), 'keydeck-main');
	await page.keyboard.press('Enter');
	await until('the pane', () => page.locator('#detail').isVisible());
	assert.ok((await page.locator('#detail').innerText()).includes(repo));
	assert.ok(page.url().includes('sel=keydeck-main'));
	await page.keyboard.press('Escape');
	await until('no pane', async () => !(await page.locator('#detail').isVisible()));
	assert.equal(await focused(), 'keydeck-main');

	await page.keyboard.press('?');
	assert.ok(await page.locator('#help').isVisible());
	await page.locator('#single-keys').uncheck();
	await page.keyboard.press('Escape');
	await page.keyboard.press('w');
	assert.ok(!page.url().includes('view='));
	await page.keyboard.press('Control+k');
	await page.keyboard.type('keydeck one');
	await page.keyboard.press('Enter');
	await until('chosen', async () => (await page.locator('#detail h2').textContent()) === 'one');
	// what was looked at is in the address
	await page.reload();
	await until('chosen again', async () => (await page.locator('#detail h2').textContent()) === 'one');
	await page.goBack();
	await until('not chosen', async () => !(await page.locator('#detail').isVisible()));
	assert.deepEqual(page.seen.errors, []);
}

async function sortsAndFilters(t) {
	const repo = await t.world.repo('sortdeck', 'server');
	const wt = await t.world.worktree(repo, 'zeta');

	await t.run(wt, 'node', 'tiny.cjs');
	await t.world.devmesh(repo, 'up');
	const page = await opened(t, { hash: '#q=sortdeck' });
	await shows(page, 'sortdeck-zeta', 'up');
	await shows(page, 'sortdeck-main', 'starting');
	const heading = page.locator('th[data-sort="name"]');
	assert.equal(await heading.getAttribute('aria-sort'), 'ascending');
	await heading.locator('button').click();
	await until('turned', async () => String(await ids(page)) === 'sortdeck-zeta,sortdeck-main');
	assert.equal(await heading.getAttribute('aria-sort'), 'descending');
	await page.locator('#states [data-state="starting"]').click();
	await until('only the starting', async () => String(await ids(page)) === 'sortdeck-main');
	await page.locator('#filter').fill('nothing like it');
	await until('says so', () => page.locator('#empty').isVisible());
	await page.locator('#empty button').click();
	await until('all again', async () => (await ids(page)).length >= 3);
}

async function changesWhenLoggedIn(t) {
	const repo = await t.world.repo('actdeck', 'server');
	const wt = await t.world.worktree(repo, 'stray');
	const stray = spawn('node', ['-e', 'require("http").createServer((q, r) => r.end("<h1>stray</h1>")).listen(0, "127.0.0.1")'], { cwd: wt, stdio: 'ignore' });

	try {
		await t.run(repo, 'node', 'tiny.cjs');
		const shown = await opened(t, { hash: '#sel=actdeck-main' });
		await until('the pane', async () => (await shown.locator('#detail').innerText()).includes('devmesh open'));
		assert.equal(await shown.locator('#detail button', { hasText: 'Forget' }).count(), 0);
		// nor can a page do it by itself
		assert.equal(await shown.evaluate(async () => (await fetch('/api/v1/gc', { method: 'POST', body: '{}',
			headers: { 'Content-Type': 'application/json', 'X-Devmesh': 'page' } })).status), 403);

		const page = await opened(t, { login: true });
		page.on('dialog', (dialog) => dialog.accept());
		const found = page.locator('#found tr', { hasText: wt });
		await until('the stray server is found', async () => (await found.count()) === 1);
		await found.locator('button').click();
		await shows(page, 'actdeck-stray', 'up');
		await until('not among the found any more', async () => (await found.count()) === 0);
		await row(page, 'actdeck-stray').locator('.open-detail').click();
		await page.locator('#detail button', { hasText: 'Pin' }).click();
		await until('pinned', async () => (await page.locator('#detail').innerText()).includes('pinned'));
		await page.locator('#detail button', { hasText: 'Look now' }).click();
		await page.locator('#detail button', { hasText: 'Forget' }).click();
		await until('forgotten', async () => (await row(page, 'actdeck-stray').count()) === 0);
		assert.equal(fs.existsSync(path.join(t.world.sockets, 'actdeck-stray.json')), false);

		// what an agent left behind: shown first, removed only then
		const left = await t.world.worktree(repo, 'left');
		await t.world.devmesh(left, 'up');
		fs.rmSync(left, { recursive: true });
		await page.goto(`${t.world.url('devmesh')}#view=worktrees`);
		await page.locator('#cleanup button', { hasText: 'What would' }).click();
		await until('it is told', async () => (await page.locator('#cleanup').innerText()).includes('actdeck-left'));
		assert.equal(fs.existsSync(path.join(t.world.sockets, 'actdeck-left.json')), true);
		await page.locator('#cleanup button', { hasText: /^Remove/ }).click();
		await until('tidy', async () => (await page.locator('#cleanup').innerText()).includes('all is tidy'));
		assert.equal(fs.existsSync(path.join(t.world.sockets, 'actdeck-left.json')), false);
		assert.equal(await row(page, 'actdeck-main').count(), 1);
		await page.screenshot({ path: path.join(out, 'dashboard-worktrees.png') });
		assert.deepEqual(page.seen.errors, []);
	} finally {
		stray.kill();
	}
}

async function loginIsGoodOnce(t) {
	const url = (await t.world.devmesh(t.world.dir, 'open', '--print')).stdout.trim();
	const page = await t.page();
	const thief = await t.world.browser.newContext();
	const second = await thief.newPage();

	await page.goto(url);
	await until('logged in', () => page.evaluate(async () => (await import('/web/act.js')).session.may_change));
	assert.equal(page.url(), t.world.url('devmesh'));
	assert.equal(await page.evaluate(() => document.cookie), '');
	// the cookie alone, which other ports of this host would get, changes nothing
	assert.equal(await page.evaluate(async () => (await fetch('/api/v1/gc', { method: 'POST', body: '{}',
		headers: { 'Content-Type': 'application/json', 'X-Devmesh': 'page' } })).status), 403);
	assert.equal((await second.goto(url)).status(), 403);
	assert.ok((await second.locator('body').innerText()).includes('devmesh open'));
	await thief.close();
}

async function showsOutput(t) {
	const repo = await t.world.repo('logdeck', 'server');
	const other = await t.world.worktree(repo, 'other');
	const page = await opened(t, { login: true });
	const lines = (box) => page.locator(`${box} .output li`);
	const shown = async (text, box = '#detail') => until(`the line "${text}"`, async () => (await lines(box).allInnerTexts()).some((line) => line.includes(text)));

	const app = await t.run(repo, 'node', 'chatty.cjs');
	await t.run(other, 'node', 'chatty.cjs');
	await page.goto(`${t.world.url('devmesh')}#sel=logdeck-main`);
	await page.locator('.tabs button', { hasText: 'logs' }).click();
	await shown('ready in 12 ms');
	await shown('after 0.');
	assert.equal(await page.locator('#detail .fg2.bold').first().textContent(), 'ready');
	assert.equal(await page.locator('#detail .fg1').textContent(), 'it broke');
	await shown('<img src=x onerror=alert(1)> {{services}}');
	assert.equal(await page.locator('.output img').count(), 0);
	// as it is written
	const visitor = await t.page();
	await visitor.goto(`${app.url}/while-open`);
	await shown('GET /while-open');
	await page.getByLabel('Show only lines with').fill('while-open');
	await until('the others are hidden', async () => (await lines('#detail').filter({ visible: true }).count()) === 1);
	await page.getByLabel('Show only lines with').fill('/^ *get .while/');
	await until('by an expression', async () => (await lines('#detail').filter({ visible: true }).count()) === 1);
	const downloading = page.waitForEvent('download');
	await page.getByRole('button', { name: 'Download' }).click();
	const saved = fs.readFileSync(await (await downloading).path(), 'utf8');
	assert.match(saved, /^\S+Z ready in 12 ms$/m);
	assert.match(saved, /GET \/while-open/);
	// of all
	await page.keyboard.press('Escape');
	await page.locator('nav a[data-view="logs"]').click();
	for (const id of ['logdeck-main', 'logdeck-other']) await shown(id, '#output');
	await visitor.goto(`${app.url}/for-all`);
	await shown('GET /for-all', '#output');
	// a restart of the daemon ends logins, which is said
	await t.world.devmesh(t.world.dir, 'daemon', 'restart');
	await until('it is said', async () => (await page.locator('#output').innerText()).includes('devmesh open'));
	assert.deepEqual(page.seen.errors.filter((error) => !/Failed to load resource|net::ERR/.test(error)), []);
	// and for nobody else
	const stranger = await opened(t, { hash: '#sel=logdeck-main&tab=logs', viewport: { width: 1440, height: 900 } });
	await until('the hint', async () => (await stranger.locator('#detail').innerText()).includes('devmesh open'));
	assert.equal(await stranger.locator('.output').count(), 0);
	assert.equal(await stranger.evaluate(async () => (await fetch('/api/v1/services/logdeck-main/logs')).status), 403);
	await stranger.end();
}

// What devmeshd runs: ended, started and restarted from the page; and by whoever opens its URL.
async function runsServices(t) {
	const repo = await t.world.repo('rundeck', 'server');
	const page = await opened(t, { login: true });
	const press = (name) => page.locator('#detail').getByRole('button', { name, exact: true }).click();

	try {
		await t.world.devmesh(repo, 'run', '-d', '--on-request', '--', 'node', 'tiny.cjs');
		await shows(page, 'rundeck-main', 'up');
		await row(page, 'rundeck-main').locator('.open-detail').click();
		await until('who runs it', async () => /Run by devmeshd\s+running\s+Command\s+node tiny.cjs/.test(await page.locator('#detail').innerText()));
		await press('Stop');
		await shows(page, 'rundeck-main', 'down');
		await until('it says so', async () => /Run by devmeshd\s+stopped/.test(await page.locator('#detail').innerText()));
		await press('Start');
		await shows(page, 'rundeck-main', 'up');
		const before = await page.locator('#detail').innerText();
		await press('Restart');
		await until('another process', async () => {
			const text = await page.locator('#detail').innerText();
			return (await state(page, 'rundeck-main')) === 'up' && /pid \d+/.exec(text)?.[0] !== /pid \d+/.exec(before)[0];
		});
		await press('Stop');
		await shows(page, 'rundeck-main', 'down');
		// a person who opens its URL sees that it starts, and then the app, without doing anything
		const visitor = await t.page();
		const response = await visitor.goto(t.world.url('rundeck-main'));
		assert.equal(response.status(), 503);
		await until('the app', async () => (await visitor.locator('h1').textContent().catch(() => '')) === 'tiny app');
		await shows(page, 'rundeck-main', 'up');
	} finally {
		await t.world.devmesh(repo, 'down');
	}
	await until('it is gone', async () => (await row(page, 'rundeck-main').count()) === 0);
	// a run in a terminal can only be ended
	const app = await t.run(repo, 'node', 'tiny.cjs');
	await shows(page, 'rundeck-main', 'up');
	assert.equal(await page.locator('#detail').getByRole('button', { name: 'Restart', exact: true }).count(), 0);
	page.once('dialog', (dialog) => dialog.accept());
	await press('Stop');
	await until('it has ended', async () => (await row(page, 'rundeck-main').count()) === 0);
	await app.end();
}

// A modem: the page comes, is live, and what is asked for arrives.
async function onASlowNetwork(t) {
	const repo = await t.world.repo('slowdeck', 'server');
	const page = await t.page();
	const session = await page.context().newCDPSession(page);

	await t.run(repo, 'node', 'tiny.cjs');
	await session.send('Network.enable');
	await session.send('Network.emulateNetworkConditions', { offline: false, latency: 400, downloadThroughput: 50_000 / 8, uploadThroughput: 20_000 / 8 });
	const began = Date.now();
	await page.goto(t.world.url('devmesh'), { waitUntil: 'commit' });
	// the table is there before any script is
	await until('the table', async () => (await row(page, 'slowdeck-main').count()) === 1);
	await until('it is live', async () => (await page.locator('#live').textContent()) === 'live' && page.locator('#live').isVisible());
	assert.ok(Date.now() - began > 1000, 'the network was slow');
	const wt = await t.world.worktree(repo, 'late');
	await t.run(wt, 'node', 'tiny.cjs');
	await shows(page, 'slowdeck-late', 'up');
	await page.locator('nav a[data-view="system"]').click();
	await until('the facts', async () => (await page.locator('#system .card').count()) === 6, 60000);
	// cut off for a while: it says so, and comes back by itself
	await session.send('Network.emulateNetworkConditions', { offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 });
	await t.world.devmesh(t.world.dir, 'daemon', 'restart');
	await until('it says so', async () => (await page.locator('#live').textContent()) === 'not connected');
	await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
	await until('it is back', async () => (await page.locator('#live').textContent()) === 'live');
	assert.equal(page.seen.loads, 1);
}

async function comesBack(t) {
	const repo = await t.world.repo('backdeck', 'server');

	await t.run(repo, 'node', 'tiny.cjs');
	const page = await opened(t, { hash: '#q=backdeck&sel=backdeck-main' });
	await until('the pane', async () => (await page.locator('#detail h2').textContent()) === 'main');
	await t.world.devmesh(t.world.dir, 'daemon', 'stop');
	await until('it says so', async () => (await page.locator('#live').textContent()) === 'not connected');
	assert.equal(await state(page, 'backdeck-main'), 'up');
	await t.world.devmesh(t.world.dir, 'daemon', 'start');
	await until('it is live again', async () => (await page.locator('#live').textContent()) === 'live');
	const wt = await t.world.worktree(repo, 'after');
	await t.run(wt, 'node', 'tiny.cjs');
	await shows(page, 'backdeck-after', 'up');
	assert.equal(await page.locator('#detail h2').textContent(), 'main');
	assert.equal(page.seen.loads, 1);
}

const EVIL = '<img/src=x/onerror=alert(1)>"\'&amp;{{services}}';

async function namesAreText(t) {
	const repo = await t.world.repo('evil', 'server');
	const dir = path.join(t.world.dir, `${EVIL.replaceAll('/', '')} b`);
	const page = await t.page();
	let alerted = false;

	page.on('dialog', (dialog) => { alerted = true; dialog.dismiss(); });
	await t.world.git(repo, 'worktree', 'add', '-q', '-b', EVIL, dir);
	const { id } = JSON.parse((await t.world.devmesh(dir, 'up', '--json', '--app', 'evil')).stdout);
	for (const view of ['', '#view=worktrees', '#view=events']) {
		await opened(t, { page, hash: view });
		await page.reload();
		await until('live', async () => (await page.locator('#live').textContent()) === 'live');
		assert.equal(await page.locator('img').count(), 0);
	}
	await opened(t, { page });
	await until('it is shown as it is', async () => (await page.locator('#table .open-detail', { hasText: EVIL }).count()) === 1);
	await page.locator('#table .open-detail', { hasText: EVIL }).click();
	await until('in the pane', async () => (await page.locator('#detail').innerText()).includes(dir));
	await page.keyboard.press('Control+k');
	await page.keyboard.type('img');
	assert.equal(await page.locator('img').count(), 0);
	assert.equal(alerted, false);
	assert.deepEqual(page.seen.errors, []);
	const plain = await opened(t, { javaScriptEnabled: false });
	assert.equal(await plain.locator('img').count(), 0);
	assert.ok((await plain.locator('#table').innerText()).includes(EVIL));
	await plain.end();
	await t.world.devmesh(dir, 'down', id);
}

// What a service was asked for: live, by class, to be asked again; a path is text like any other.
async function tellsRequests(t) {
	const repo = await t.world.repo('askdeck', 'server');
	const evil = "/<img/src=x/onerror=alert(1)>/'\u202e;x=1?key=SECRET";
	const server = await t.run(repo, 'node', '-e', `require('http').createServer((q, r) => {
		r.statusCode = Number(q.url.slice(1, 4)) || 200;
		r.end('x');
	}).listen(process.env.PORT, '127.0.0.1')`);
	const ask = (where) => t.world.shell(`curl -sk --path-as-is -g ${quoted(server.url + where)} -o answer`);
	const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

	for (const where of ['/first?key=SECRET', '/404/gone', '/503/bad', evil]) await ask(where);
	const stranger = await opened(t, { hash: '#sel=askdeck-main&tab=requests' });
	await until('told to log in', async () => (await stranger.locator('#detail').innerText()).includes('devmesh open'));
	assert.equal(await stranger.locator('.asked').count(), 0);
	assert.equal(await stranger.evaluate(async () => (await fetch('/api/v1/services/askdeck-main/requests')).status), 403);
	await stranger.close();

	const page = await opened(t, { login: true, hash: '#sel=askdeck-main&tab=requests' });
	const lines = page.locator('.asked li');
	const chip = (name) => page.locator('#detail .chips button', { hasText: name });
	let alerted = false;

	page.on('dialog', (dialog) => { alerted = true; dialog.dismiss(); });
	await until('the first ones', async () => (await lines.count()) >= 4);
	const text = await page.locator('#detail').textContent();
	for (const part of ['/first', '/404/gone', '/503/bad', '<img/src=x/onerror=alert(1)>']) assert.ok(text.includes(part), `${part} in ${text}`);
	assert.ok(!(await page.content()).includes('SECRET'));
	assert.equal(await page.locator('img').count(), 0);
	// live, the newest first
	const at = Date.now();
	await ask('/live');
	await until('it is there', async () => (await lines.first().innerText()).includes('/live'));
	assert.ok(Date.now() - at < 2000 * (process.env.ASAN_OPTIONS ? 3 : 1), `${Date.now() - at} ms`);
	// by class
	await chip('5xx').click();
	assert.equal(await lines.count(), 1);
	await ask('/500/again');
	await until('another one', async () => (await lines.count()) === 2);
	await chip('3xx').click();
	await until('none', async () => (await page.locator('#detail .empty').innerText()).includes('No recent'));
	await chip('all').click();
	assert.ok(await lines.count() >= 6);
	// as a command, which asks for the same again
	const before = await lines.count();
	await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
	await lines.filter({ hasText: '<img' }).locator('button').click();
	const command = await until('copied', () => page.evaluate(() => navigator.clipboard.readText()).then((copied) => copied.startsWith('curl') && copied));
	await t.world.shell(`${command} -ks -o answer`);
	await until('asked once more', async () => (await lines.count()) === before + 1);
	assert.equal(await lines.first().locator('.path').textContent(), await lines.filter({ hasText: '<img' }).last().locator('.path').textContent());
	// not while it is paused
	await page.keyboard.press('p');
	await ask('/paused');
	await t.world.devmesh(repo, 'requests'); // by now devmeshd knows
	assert.equal(await lines.filter({ hasText: '/paused' }).count(), 0);
	await page.keyboard.press('p');
	await until('after it', async () => (await lines.filter({ hasText: '/paused' }).count()) === 1);
	await page.screenshot({ path: path.join(out, 'dashboard-requests.png') });
	// in the table, where there is room for it
	await page.setViewportSize({ width: 1600, height: 900 });
	await page.goto(`${t.world.url('devmesh')}#sort=requests`);
	const cell = row(page, 'askdeck-main').locator('td.requests');
	await until('a line and a rate', async () => /^\d+\/min$/.test(await cell.innerText()) && (await cell.locator('path').getAttribute('d'))?.startsWith('M0 '));
	assert.match(await cell.getAttribute('title'), /^last access: /);
	assert.equal((await cell.locator('path').getAttribute('d')).match(/[ML]/g).length, 60);

	await page.screenshot({ path: path.join(out, 'dashboard-requests-table.png') });
	await page.setViewportSize({ width: 1000, height: 900 });
	assert.equal(await cell.isVisible(), false);
	assert.equal(alerted, false);
	assert.deepEqual(page.seen.errors, []);
}

// Every view, both themes, three widths: nothing that axe-core takes for serious, nothing cut off.
async function isAccessible(t) {
	const repo = await t.world.repo('axedeck', 'server');
	const source = fs.readFileSync(path.join(packages, 'axe-core/axe.min.js'), 'utf8');

	await t.run(repo, 'node', 'tiny.cjs');
	await t.world.devmesh(await t.world.worktree(repo, 'a-branch-with-quite-a-long-name-indeed'), 'up');
	for (const colorScheme of ['light', 'dark'])
		for (const width of [360, 768, 1440]) {
			const page = await opened(t, { colorScheme, viewport: { width, height: 900 } });

			for (const hash of ['#', '#sel=axedeck-main', '#sel=axedeck-main&tab=health', '#sel=axedeck-main&tab=requests', '#sel=axedeck-main&tab=logs', '#view=logs', '#view=worktrees', '#view=graph', '#view=doctor', '#view=events', '#view=system', '#view=settings', 'help', 'palette']) {
				if (hash === 'help') await page.evaluate(() => document.querySelector('#help-open').click());
				else if (hash === 'palette') {
					await page.keyboard.press('Escape');
					await page.keyboard.press('Control+k');
				} else await page.goto(t.world.url('devmesh') + hash);
				if (hash.startsWith('#sel=')) await until('the pane', () => page.locator('#detail').isVisible());
				if (hash.startsWith('#view=')) await until(hash, () => page.locator(`#${hash.slice(6)}`).isVisible());
				if (hash.endsWith('tab=health')) await until('the bar', async () => (await page.locator('#detail .uptime rect').count()) === 60);
				if (hash === '#view=system') await until('the facts', async () => (await page.locator('#system .card').count()) === 6);
				if (hash === '#view=settings') await until('settings', async () => (await page.locator('#settings-list dd').count()) > 0);
				if (hash === '#view=doctor') await until('findings', async () => (await page.locator('.finding').count()) > 0);
				await page.screenshot({ path: path.join(out, `dashboard-${colorScheme}-${width}-${hash.replace(/\W+/g, '') || 'home'}.png`) });
				// the page's policy lets no script in; the debugger's is none of the page's
				const session = await page.context().newCDPSession(page);
				await session.send('Runtime.evaluate', { expression: source });
				const { result } = await session.send('Runtime.evaluate', { awaitPromise: true, returnByValue: true,
					expression: `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then((r) => r.violations.map((v) =>
						v.id + ' (' + v.impact + '): ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join(' | ')))` });
				await session.detach();
				assert.deepEqual(result.value, [], `${colorScheme} ${width} ${hash}`);
				assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `${width} ${hash} is not cut off`);
			}
			await page.end();
		}
}

async function drawsTheGraph(t) {
	const repo = await t.world.repo('graphdeck', 'server');

	await t.run(repo, 'node', 'tiny.cjs');
	const page = await opened(t, { hash: '#view=graph' });
	const node = page.locator('#picture .press[aria-label^="graphdeck-main"]');
	await until('the service is up in it', async () => (await node.count()) === 1 && (await node.getAttribute('data-state')) === 'up');
	assert.ok((await page.locator('#picture').textContent()).includes(repo));
	await node.focus();
	const wt = await t.world.worktree(repo, 'more');
	await t.run(wt, 'node', 'tiny.cjs');
	await until('another one', async () => (await page.locator('#picture .press[aria-label^="graphdeck-more"][data-state="up"]').count()) === 1);
	await page.keyboard.press('Enter'); // the first one has kept the focus
	await until('the pane', async () => (await page.locator('#detail h2').textContent()) === 'main');
	assert.deepEqual(page.seen.errors, []);
}

async function showsTheSettings(t) {
	const page = await opened(t, { hash: '#view=settings&sort=__proto__&state=none' });

	await page.locator('.skip').focus();
	await page.keyboard.press('Enter');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
	assert.ok(page.url().includes('view=settings'));
	await until('the settings', async () => (await page.locator('#settings-list').innerText()).includes(t.world.sockets));
	assert.ok((await page.locator('#settings-list').innerText()).includes('DEVMESH_SOCKETS_DIR'));
}

async function showsHowItHasBeen(t) {
	const repo = await t.world.repo('healthdeck', 'server');

	await t.world.devmesh(repo, 'up'); // so its name outlives its server
	const server = await t.run(repo, 'node', 'tiny.cjs');
	const page = await opened(t, { hash: '#sel=healthdeck-main' });

	await shows(page, 'healthdeck-main', 'up');
	await page.locator('#detail .tabs button', { hasText: 'health' }).click();
	const pane = page.locator('#detail');
	await until('the bar', async () => (await pane.locator('.uptime rect').count()) === 60);
	assert.match(await pane.locator('.uptime').getAttribute('aria-label'), /of 60 parts are known/);
	const last = () => pane.locator('.log li').first().innerText();
	await until('it is up', async () => (await last()).includes('up for'));
	// what it uses comes by the stream, and its processes are more than one: devmesh run, node
	await until('its memory', async () => /\d [KM]B/.test(await pane.locator('dl').innerText()));
	await until('the processor, which takes two looks', async () => (await pane.locator('dl').innerText()).includes('% of a core'));
	await pane.locator('button', { hasText: '1 h' }).click();
	await until('chosen', async () => (await pane.locator('[aria-pressed="true"]').innerText()) === '1 h');
	await until('the bar of an hour', async () => (await pane.locator('.uptime rect').count()) === 60);
	await page.screenshot({ path: path.join(out, 'dashboard-health.png') });
	// another state, without a word from the user
	await server.end();
	await until('the end is in it', async () => /^.*(stale|starting)/.test((await last()).replaceAll('\n', ' ')));
	assert.equal(page.seen.loads, 1);
	assert.deepEqual(page.seen.errors, []);
}

async function showsTheSystem(t) {
	const page = await opened(t);

	await page.keyboard.press('y');
	await until('the view', () => page.locator('#system').isVisible());
	await until('what was found', async () => (await page.locator('#system .card').count()) === 6);
	const text = () => page.locator('#system').innerText();
	await until('the machine, live', async () => /Disk\s+[\d.]+ [KMGT]?B of/.test(await text()));
	await until('the processor', async () => /\d % of \d+ cores/.test(await text()));
	for (const name of ['CPU', 'Memory', 'Disk']) assert.equal(await page.locator(`#system meter[aria-label="${name}"]`).count(), 1);
	const facts = await page.evaluate(async () => (await fetch('/api/v1/system')).json());
	const shown = await text();
	for (const part of ['as written', 'devmesh local', 'hours, until', t.world.dir, 'Network', facts.network.address ?? 'no network']) assert.ok(shown.includes(part), `${part} in ${shown}`);
	// what a bad day would bring
	const now = Math.floor(Date.now() / 1000);
	const told = async (certificate, caddy) => {
		await page.unroute('**/api/v1/system?fresh=true');
		await page.route('**/api/v1/system?fresh=true', (route) => route.fulfill({ json: {
			...facts, caddy: { ...facts.caddy, ...caddy }, certificate: { ...facts.certificate, trusted_by: 'system', problem: null, fix: null, ...certificate } } }));
		await page.locator('#system-look').click();
	};

	await told({ not_before: now - 87 * 86400, not_after: now + 3 * 86400, days_left: 3 }, { drift: true, drift_detail: 'srv0.listen: changed', fix: 'devmesh stop    (<b>then</b> start)' });
	await until('expires soon', async () => (await text()).includes('expires soon'));
	for (const part of ['3 days, until', 'changed by hand', 'srv0.listen: changed', '(<b>then</b> start)']) assert.ok((await text()).includes(part), part);
	assert.equal(await page.locator('#system .command code', { hasText: /^devmesh stop$/ }).count(), 1);
	await told({ not_before: now - 91 * 86400, not_after: now - 86400, days_left: -1, problem: 'the certificate has expired' }, { answers: false, drift: null });
	await until('expired', async () => /Certificate\s+✕?\s*expired/.test(await text()));
	assert.ok((await text()).includes('does not answer'));
	await page.unroute('**/api/v1/system?fresh=true');
	await page.locator('#system-look').click();
	await until('looked again', async () => page.locator('#system-look').isEnabled());
	assert.equal(page.seen.loads, 1);
	assert.deepEqual(page.seen.errors, []);
}

async function onAPhone(t) {
	const repo = await t.world.repo('phonedeck', 'server');

	await t.run(repo, 'node', 'tiny.cjs');
	const page = await opened(t, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
	await shows(page, 'phonedeck-main', 'up');
	const small = await page.locator('button:visible, td a:visible, nav a:visible, input:visible').evaluateAll((all) =>
		all.filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.outerHTML));
	assert.deepEqual(small, []);
	await row(page, 'phonedeck-main').locator('.open-detail').tap();
	await until('the pane', () => page.locator('#detail').isVisible());
	await page.locator('#detail .close').tap();
	await until('no pane', async () => !(await page.locator('#detail').isVisible()));
	await page.end();
}

// As many changes as a busy day brings: neither nodes nor memory grow with them.
async function doesNotGrow(t) {
	const repo = await t.world.repo('growdeck', 'server');
	const page = await opened(t, { hash: '#sel=growdeck-main' });
	const session = await page.context().newCDPSession(page);
	const measure = async () => {
		await until('the last change is drawn', async () => !(await ids(page)).some((id) => id.startsWith('agent-')));
		await session.send('HeapProfiler.collectGarbage');
		const { metrics } = await session.send('Performance.getMetrics');
		const value = (name) => metrics.find((m) => m.name === name).value;

		return { nodes: value('Nodes'), listeners: value('JSEventListeners'), heap: value('JSHeapUsedSize') };
	};
	// what the stream would bring, by the very functions that take it
	const changes = (n) => page.evaluate(async (count) => {
		const { apply, mesh } = await import('/web/model.js');
		const { go } = await import('/web/view.js');
		const one = mesh.services.get('growdeck-main');

		for (let i = 0; i < count; i++) {
			apply('service', { ...one, was: 'up', state: i % 2 ? 'up' : 'stale', since: one.since + i, time: Date.now() / 1000 });
			apply('service', { ...one, id: `agent-${i % 50}`, app: `app${i % 7}`, worktree: `/x/${i % 50}`, was: null, time: Date.now() / 1000 });
			if (i % 50 === 49)
				for (let k = 0; k < 50; k++) apply('service-gone', { id: `agent-${k}`, was: 'up', reason: 'x', time: Date.now() / 1000 });
			if (i % 25 === 0) {
				go({ q: i % 50 ? 'x' : '' });
				await new Promise(requestAnimationFrame);
			}
		}
		go({ q: '' });
	}, n);

	await t.world.devmesh(repo, 'up');
	await shows(page, 'growdeck-main', 'starting');
	await session.send('Performance.enable');
	await changes(2000); // what is kept of the past is full then
	const before = await measure();
	await changes(20000);
	const after = await measure();
	assert.ok(after.nodes <= before.nodes * 1.1 + 50, JSON.stringify({ before, after }));
	assert.ok(after.listeners <= before.listeners * 1.1 + 50, JSON.stringify({ before, after }));
	assert.ok(after.heap <= before.heap * 1.25 + 1e6, JSON.stringify({ before, after }));
	assert.deepEqual(page.seen.errors, []);
}

export default Object.fromEntries(Object.entries({
	dashboard_shows_what_runs: showsWhatRuns,
	dashboard_is_live: isLive,
	dashboard_pauses: pauses,
	dashboard_without_javascript: withoutJavaScript,
	dashboard_by_keyboard: byKeyboard,
	dashboard_sorts_and_filters: sortsAndFilters,
	dashboard_changes_when_logged_in: changesWhenLoggedIn,
	dashboard_login_is_good_once: loginIsGoodOnce,
	dashboard_shows_output: showsOutput,
	dashboard_runs_services: runsServices,
	dashboard_on_a_slow_network: onASlowNetwork,
	dashboard_comes_back: comesBack,
	dashboard_names_are_text: namesAreText,
	dashboard_tells_requests: tellsRequests,
	dashboard_is_accessible: isAccessible,
	dashboard_draws_the_graph: drawsTheGraph,
	dashboard_shows_the_settings: showsTheSettings,
	dashboard_shows_how_it_has_been: showsHowItHasBeen,
	dashboard_shows_the_system: showsTheSystem,
	dashboard_on_a_phone: onAPhone,
	dashboard_does_not_grow: doesNotGrow,
}).map(([name, test]) => [name, withDaemon(test)]));
