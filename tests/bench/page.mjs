// SPDX-License-Identifier: MIT
// `make bench`: figures of the dashboard in Chromium, with 300 services, on a mesh of its own.
import net from 'node:net';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as nap } from 'node:timers/promises';
import { launch } from '../browser/browser.mjs';
import { until, World } from '../browser/world.mjs';

const SERVICES = 300, LOADS = 9, CHANGES = 15, RATE = 50, SECONDS = 10;

const world = new World();
const rows = [];
const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const row = (what, figure, target) => rows.push(`| dashboard, ${SERVICES} services: ${what} | ${figure} | ${target} |`);

const listen = (file) => new Promise((done, fail) => {
	const server = net.createServer((socket) => socket.destroy()).once('error', fail).listen(file, () => done(server));
});
const close = (server) => new Promise((done) => server.close(done)); // it removes the socket, too

async function measure() {
	const repo = await world.repo('bench', 'server');
	const sockets = [];

	for (let i = 0; i < SERVICES; i++) {
		const { socket } = JSON.parse((await world.devmesh(repo, 'up', '--json', '--app', `app${i}`)).stdout);
		sockets.push(socket);
	}
	await world.devmesh(world.dir, 'daemon', 'start');
	const { stdout } = await world.devmesh(world.dir, 'trust');
	await world.shell(/^Chrome, Linux:\s+(.*)$/m.exec(stdout)[1]);
	world.browser = await launch(world.env, world.env.HOME);

	const paints = [], lives = [];
	let bytes = 0, page;
	for (let i = 0; i < LOADS; i++) {
		await page?.close();
		page = await world.browser.newPage({ viewport: { width: 1440, height: 900 } });
		const began = Date.now();
		await page.goto(world.url('devmesh'));
		await until('the rows are live', () => page.evaluate((n) => document.querySelectorAll('#table .open-detail').length >= n, SERVICES));
		lives.push(Date.now() - began);
		paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN));
		bytes = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
			.reduce((sum, entry) => sum + (entry.name.includes('/events') ? 0 : entry.encodedBodySize), 0));
	}
	row('first paint', `${middle(paints).toFixed(0)} ms`, '< 150 ms');
	row('all rows live', `${middle(lives)} ms`, '');
	row('bytes of a first load', `${(bytes / 1000).toFixed(0)} KB (the table itself included)`, '');

	// the page writes down when a row changes; both clocks are this machine's
	await page.evaluate(() => {
		window.changes = [];
		new MutationObserver((list) => {
			for (const { target } of list)
				changes.push([target.closest?.('tr')?.dataset.id ?? target.parentElement?.closest('tr')?.dataset.id, performance.timeOrigin + performance.now()]);
		}).observe(document.querySelector('#table'), { subtree: true, childList: true, characterData: true });
	});
	const took = [];
	for (let i = 0; i < CHANGES; i++) {
		const id = path.basename(sockets[i], '.sock');
		const began = performance.timeOrigin + performance.now();
		const server = await listen(sockets[i]);
		took.push(await until(`${id} has changed`, () => page.evaluate(([name, after]) =>
			changes.find(([changed, at]) => changed === name && at > after)?.[1], [id, began])) - began);
		await close(server);
	}
	row('bind of a socket to its row', `${middle(took).toFixed(0)} ms`, '< 100 ms');

	const session = await page.context().newCDPSession(page);
	await session.send('Performance.enable');
	const busy = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value;
	const events = () => page.evaluate(async () => (await import('/web/model.js')).mesh.log.length);
	const share = async (seconds) => {
		const before = await busy();
		await nap(seconds * 1000);
		return `${(100 * (await busy() - before) / seconds).toFixed(1)} %`;
	};
	row('main thread at rest', await share(5), '');
	// as often as devmeshd tells it, between what it tells of services that nobody asks for anything
	const asking = await page.evaluate(async () => {
		const { mesh } = await import('/web/model.js');
		const { go } = await import('/web/view.js');

		return setInterval(() => {
			const services = {};

			for (const id of mesh.services.keys())
				services[id] = { cpu: Math.random(), rss: 1e9 * Math.random(), requests: { rate: Math.floor(99 * Math.random()), errors: 0, p50_ms: 1, p95_ms: 2, last: Date.now() / 1000, spark: Array.from({ length: 60 }, () => Math.floor(9 * Math.random())) } };
			mesh.load = { services };
			go({});
		}, 2000);
	});
	row('main thread while all of them are asked', await share(SECONDS), '< 5 %');
	await page.evaluate((timer) => clearInterval(timer), asking);
	let going = true;
	const changing = (async () => {
		for (let i = 0; going; i = (i + 1) % SERVICES) {
			const server = await listen(sockets[i]);
			await nap(1000 / RATE);
			await close(server);
			await nap(1000 / RATE);
		}
	})();
	await until('events come', async () => (await events()) > 50);
	row(`main thread at ${RATE} changes a second`, await share(SECONDS), '< 5 %');
	going = false;
	await changing;
}

async function main() {
	await world.start();
	await measure();
	console.log('\n| what | figure | target |\n|---|---|---|');
	console.log(rows.join('\n'));
}

main().catch((error) => {
	console.error(error);
	process.exitCode = 1;
}).finally(async () => {
	await world.browser?.close();
	await world.devmesh(world.dir, 'daemon', 'stop').catch(() => {});
	await world.end();
	if (fs.existsSync(world.dir ?? '')) console.error(`${world.dir} could not be removed`);
});
