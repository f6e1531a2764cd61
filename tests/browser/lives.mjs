// SPDX-License-Identifier: MIT
// Services that do not run yet, and services that move while they are used.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { out, until } from './world.mjs';

const heading = (page) => page.locator('h1').textContent().catch(() => null);

// The page that stands in for a service: what it says, and that it gives way to the service.
async function turnsIntoTheApp(t, dir, id, state, says, picture) {
	const page = await t.page();
	const response = await page.goto(t.world.url(id));

	assert.equal(response.status(), 503);
	assert.equal((await response.allHeaders())['x-devmesh-state'], state);
	assert.equal(await heading(page), id);
	assert.equal(await page.title(), `${id} is not running`);
	for (const words of says)
		await until(() => `the page says "${words}"`,
			async () => (await page.locator('main').innerText()).includes(words));
	await page.screenshot({ path: path.join(out, `${picture}.png`) });

	await t.run(dir, 'node', 'tiny.cjs');
	await until('the page has become the app', async () => (await heading(page)) === 'tiny app');
	assert.equal(page.url(), t.world.url(id));
	return page;
}

async function claimedPage(t) {
	const dir = await t.world.repo('sleepy', 'server');
	const url = (await t.world.devmesh(dir, 'up')).stdout.trim();

	assert.equal(`${url}/`, t.world.url('sleepy-main'));
	await turnsIntoTheApp(t, dir, 'sleepy-main', 'not-running', [
		'not running', `cd ${dir}`, '# main', 'devmesh run -- npm run dev',
		path.join(t.world.sockets, 'sleepy-main.sock'),
	], 'claimed');
}

async function unclaimedPage(t) {
	const repo = await t.world.repo('nobody', 'server');
	const dir = await t.world.worktree(repo, 'feature/new');

	await turnsIntoTheApp(t, dir, 'nobody-feature-new', 'unclaimed',
		['not running', 'No worktree has claimed this name', 'devmesh run -- npm run dev'], 'unclaimed');
}

// A dark one, and one with a long name: nothing sticks out of a narrow window.
async function pageOfALongName(t) {
	const page = await t.page();

	await page.setViewportSize({ width: 360, height: 640 });
	await page.emulateMedia({ colorScheme: 'dark' });
	await page.goto(t.world.url('shop-feature-a-branch-with-quite-a-long-name-abc'));
	await page.screenshot({ path: path.join(out, 'narrow-dark.png') });
	assert.equal(await page.evaluate(() =>
		document.documentElement.scrollWidth <= document.documentElement.clientWidth), true);
}

// A server that goes to another port, again and again, while it is used. No request fails: who
// comes in between waits.
async function restartsElsewhere(t) {
	const dir = await t.world.repo('nomad', 'server');
	const service = await t.run(dir, 'node', 'moving.cjs');
	const page = await t.page();

	await page.goto(service.url);
	await page.evaluate(() => {
		window.state = { done: false, failures: [], answers: 0, pids: new Set() };
		window.loops = Array.from({ length: 6 }, async () => {
			while (!state.done) {
				try {
					const response = await fetch('/page', { cache: 'no-store' });
					await response.text();
					if (response.status !== 200) throw new Error(`status ${response.status}`);
					state.answers++;
					state.pids.add(response.headers.get('x-pid'));
				} catch (error) {
					state.failures.push(String(error));
				}
			}
		});
	});
	const state = () => page.evaluate(() =>
		({ answers: state.answers, failures: state.failures, pids: [...state.pids] }));

	for (let restarts = 1; restarts <= 3; restarts++) {
		const held = page.evaluate(() => Promise.all(['GET', 'POST'].map(async (method) =>
			(await fetch('/held', { method, body: method === 'POST' ? 'x' : undefined })).text())));
		const before = (await state()).answers;

		await until('requests go through', async () => (await state()).answers >= before + 20);
		await page.evaluate(() => fetch('/restart', { method: 'POST' }));
		assert.deepEqual(await held, ['answered at last', 'answered at last']);
		await until('the new process answers', async () => (await state()).pids.length > restarts);
	}
	await page.evaluate(() => ((state.done = true), Promise.all(loops)));
	const { failures, pids } = await state();
	assert.deepEqual(failures, []);
	assert.equal(pids.length, 4);
	assert.deepEqual(page.seen.errors, []);
	await t.world.devmesh(dir, 'assert', service.url);
}

// Must be the last one: after all the others there is nothing left of any service.
async function nothingIsLeft(t) {
	await t.world.devmesh(t.world.dir, 'down', '--all');
	assert.deepEqual(fs.readdirSync(t.world.sockets).filter((name) => !name.startsWith('.')), []);
	const inside = fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(`${t.world.dir}/`);
		} catch {
			return false; // it has ended, or is another user's
		}
	}).map((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
	assert.deepEqual(inside, []);
}

export default {
	claimed_page_becomes_the_app: claimedPage,
	unclaimed_page_becomes_the_app: unclaimedPage,
	page_of_a_long_name: pageOfALongName,
	restarts_elsewhere: restartsElsewhere,
	nothing_is_left: nothingIsLeft,
};
