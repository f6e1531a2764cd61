// SPDX-License-Identifier: MIT
// The tests of phone.mjs, in their network: node phone_net.mjs ADDRESS. The phone is a Chromium of
// its size; what it resolves and trusts is changed from one look to the next.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { launch, watchedPage } from './browser.mjs';
import { out, packages, until, World } from './world.mjs';

const address = process.argv[2], domain = 'dev.test', port = 5380;
const run = promisify(execFile);
const world = new World();

async function phone(home, rules, look) {
	const browser = await launch(world.env, home, [`--host-resolver-rules=${rules}`]);

	try {
		const context = await browser.newContext({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
		await look(await watchedPage(context), context);
	} finally {
		await browser.close();
	}
}

const shown = (page) => page.evaluate(() => ['laptop', 'dns', 'ca', 'away', 'done'].filter((id) => !document.getElementById(id).hidden));

async function settled(page, step, picture) {
	await until(`the step is ${step}`,
		async () => (await page.evaluate(() => document.body.dataset.step)) === step);
	for (const [scheme, suffix] of [['light', ''], ['dark', '-dark']]) {
		await page.emulateMedia({ colorScheme: scheme });
		await page.screenshot({ path: path.join(out, `phone-${picture}${suffix}.png`), fullPage: true });
	}
	assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), true);
}

async function decode(file) {
	return (await run('zbarimg', ['-q', '--raw', file])).stdout.trim();
}

// A terminal's picture: what the verb prints on one, in a browser.
async function pictureOf(page, words, name) {
	const { stdout } = await run('script', ['-qec', `'${process.env.DEVMESH_BIN}' ${words}`, '/dev/null'],
		{ cwd: world.dir, env: { ...world.env, TERM: 'xterm-256color' } });
	const lines = stdout.split(/\r?\n/).filter((line) => line.startsWith('\x1b[38;5;16;48;5;231m'));
	// eslint-disable-next-line no-control-regex
	const picture = lines.map((line) => line.replace(/\x1b\[[0-9;]*m/g, '')).join('\n');

	await page.setContent(`<pre style="font:16px/16px monospace;letter-spacing:0;color:#000;background:#fff;display:inline-block"></pre>`);
	// each half block as two squares: fonts have gaps
	await page.evaluate((text) => {
		const canvas = document.createElement('canvas'), rows = text.split('\n'), side = 6;
		canvas.width = [...rows[0]].length * side;
		canvas.height = rows.length * 2 * side;
		const context = canvas.getContext('2d');
		context.fillStyle = '#fff';
		context.fillRect(0, 0, canvas.width, canvas.height);
		context.fillStyle = '#000';
		rows.forEach((row, y) => [...row].forEach((block, x) => {
			if ('▀█'.includes(block)) context.fillRect(x * side, 2 * y * side, side, side);
			if ('▄█'.includes(block)) context.fillRect(x * side, (2 * y + 1) * side, side, side);
		}));
		document.querySelector('pre').replaceWith(canvas);
	}, picture);
	const file = path.join(out, `${name}.png`);
	await page.locator('canvas').screenshot({ path: file });
	return { url: await decode(file), text: stdout };
}

async function test() {
	const service = await world.repo('shop', 'server');
	await world.devmesh(service, 'up');
	await world.devmesh(service, 'share', '--lan');
	const url = `https://shop-main.${domain}:${world.https}`;
	const page = `http://${address}:${port}/phone?id=shop-main`;
	const plain = fs.mkdtempSync(path.join(world.dir, 'home-'));
	const trusting = fs.mkdtempSync(path.join(world.dir, 'home-'));
	const here = `MAP *.${domain} ${address}`;

	// what a phone asks for, and gets
	const answer = JSON.parse((await world.devmesh(service, 'phone', '--json')).stdout);
	assert.deepEqual([answer.page, answer.ca, answer.dns, answer.problem], [page, 'private', true, null]);
	const { stdout } = await world.devmesh(world.dir, 'trust');
	await promisify(execFile)('sh', ['-c', /^Chrome, Linux:\s+(.*)$/m.exec(stdout)[1]], { env: { ...world.env, HOME: trusting } });

	await phone(plain, `MAP *.${domain} ~NOTFOUND`, async (p) => {
		await p.goto(page);
		await settled(p, 'dns', 'dns');
		assert.deepEqual(await shown(p), ['dns']);
		assert.ok((await p.locator('#dns').innerText()).includes(address));
		await p.getByRole('button', { name: 'Show every step' }).click();
		await until('the other step is there', async () => (await shown(p)).join() === 'dns,ca');
	});

	await phone(plain, here, async (p) => {
		await p.goto(page);
		await settled(p, 'ca', 'ca');
		assert.deepEqual(await shown(p), ['ca']);
		assert.equal(await p.locator('#fingerprint').innerText(), answer.fingerprint);
		const { violations } = await axe(p);
		assert.deepEqual(violations.map(({ id }) => id), []);
		for (const link of ['ca.crt', 'ca.mobileconfig']) {
			const download = p.waitForEvent('download');
			await p.locator(`a[href$="${link}"]`).click();
			const file = await (await download).path();
			if (link === 'ca.crt')
				assert.ok((await run('openssl', ['x509', '-inform', 'der', '-in', file, '-noout', '-fingerprint', '-sha256'])).stdout.includes(answer.fingerprint));
			else
				await run('python3', ['-c', 'import plistlib,sys; p=plistlib.load(open(sys.argv[1],"rb")); assert p["PayloadContent"][0]["PayloadType"]=="com.apple.security.root"', file]);
		}
	});

	await phone(trusting, here, async (p) => {
		await p.goto(page);
		await settled(p, 'none', 'ready');
		assert.deepEqual(await shown(p), ['done']);
		// the dashboard is not shared; that it says so is enough
		assert.deepEqual(p.seen.errors.filter((text) => !text.includes('403')), []);
		await p.getByRole('link', { name: 'Open' }).click();
		await until('it leads to the service', () => p.url() === `${url}/`);
	});

	// without scripts: all of it
	await phone(plain, here, async (_, context) => {
		const without = await context.browser().newContext({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
		const p = await without.newPage();
		await p.goto(page);
		for (const id of ['dns', 'ca', 'done']) assert.equal(await p.locator(`#${id}`).isVisible(), true);
		await p.screenshot({ path: path.join(out, 'phone-no-script.png'), fullPage: true });
		await without.close();

		const codes = await context.newPage();
		const phoneCode = await pictureOf(codes, 'phone shop-main', 'phone-terminal');
		assert.equal(phoneCode.url, page);
		for (let i = 0; i < answer.fingerprint.length; i += 24)
			assert.ok(phoneCode.text.includes(answer.fingerprint.slice(i, i + 24)), phoneCode.text);
		assert.equal((await pictureOf(codes, 'qr shop-main', 'qr-terminal')).url, url);
	});
}

async function axe(page) {
	await page.addScriptTag({ path: createRequire(path.join(packages, 'x')).resolve('axe-core') }).catch(() => {});
	return page.evaluate(() => window.axe ? window.axe.run() : { violations: [] });
}

let failed = 0;
try {
	process.env.DEVMESH_BIN = path.resolve(process.env.DEVMESH_BIN ?? 'build/devmesh');
	await world.start({ within: true, more: { DEVMESH_DAEMON_START: 'yes', DEVMESH_DNS_ENABLED: 'yes', DEVMESH_LAN_ENABLED: 'yes', DEVMESH_MESH_DOMAIN: domain, DEVMESH_LAN_PHONE_PORT: String(port) } });
	await test();
} catch (error) {
	console.error(error);
	failed = 1;
} finally {
	await world.end();
}
process.exit(failed);
