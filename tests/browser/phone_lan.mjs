// SPDX-License-Identifier: MIT
// A laptop and a phone, each a network namespace, and nothing between them but a cable: the phone
// asks devmeshd's DNS for names, and knows no host and no rule of its own. This runs on the laptop:
// node phone_lan.mjs ADDRESS. Its interface is lan0.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { launch, watchedPage } from './browser.mjs';
import { out, until, World } from './world.mjs';

const address = process.argv[2], alone = '10.77.0.31', elsewhere = '10.78.0.1', domain = 'dev.example.com';
const url = `https://shop-feature-auth.${domain}/`;
const run = promisify(execFile);
const world = new World();

// The phone: a namespace of its own, also for its /etc/resolv.conf.
class Phone {
	async connect() {
		this.resolv = path.join(world.dir, 'resolv.conf');
		this.ask(address);
		this.host = spawn('unshare', ['--net', '--mount', 'sh', '-c', `mount --bind '${this.resolv}' /etc/resolv.conf && exec sleep 3600`], { stdio: 'ignore' });
		await until('the phone has a network of its own', () =>
			fs.readlinkSync(`/proc/${this.host.pid}/ns/net`) !== fs.readlinkSync('/proc/self/ns/net'));
		await run('ip', ['link', 'set', 'phone0', 'netns', String(this.host.pid)]);
		// without the link's own IPv6 address, which comes a second late: to a browser another network
		await this.run('sh', '-c', `ip link set lo up && ip link set phone0 addrgenmode none && ip addr add 10.77.0.20/24 dev phone0 && ip link set phone0 up && ip route add default via ${address}`);
		this.chromium = path.join(world.dir, 'chromium-on-the-phone');
		const { stdout } = await run('sh', ['-c', 'command -v chromium chromium-browser google-chrome | head -1']);
		fs.writeFileSync(this.chromium, `#!/bin/sh\nexec nsenter --net --mount --target ${this.host.pid} ${stdout.trim()} "$@"\n`, { mode: 0o755 });
	}

	// Its name server, as the Wi-Fi's settings have it. In place: the file is mounted.
	ask(server) {
		fs.writeFileSync(this.resolv, `nameserver ${server}\noptions timeout:1 attempts:2\n`);
	}

	run(...words) {
		return run('nsenter', ['--net', '--mount', '--target', String(this.host.pid), ...words]);
	}

	async browser(home) {
		const browser = await launch(world.env, home, [], this.chromium);
		const context = await browser.newContext({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, isMobile: true, hasTouch: true });
		const page = await watchedPage(context);

		return { page, picture: (name) => page.screenshot({ path: path.join(out, `lan-${name}.png`) }), close: () => browser.close() };
	}

	end() {
		this.host?.kill('SIGKILL');
	}
}

const decode = async (file) => (await run('zbarimg', ['-q', '--raw', file])).stdout.trim();

// On the laptop, in the dashboard: shared by a click, and its QR code as a camera sees it.
async function shareInTheDashboard(home) {
	const browser = await launch(world.env, home, [`--host-resolver-rules=MAP *.${domain} 127.0.0.1`]);
	const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();

	try {
		await page.goto((await world.devmesh(world.dir, 'open', '--print')).stdout.trim());
		await page.goto(`https://devmesh.${domain}/#sel=shop-feature-auth&tab=share`);
		const pane = page.locator('#detail');
		await until('it is private', async () => (await pane.innerText()).includes('Private.'));
		assert.equal(await pane.locator('#qr').count(), 0);
		await pane.getByRole('button', { name: 'Share', exact: true }).click();
		await until('it is shared', async () => (await pane.innerText()).includes('Shared with devices with a private address'));
		assert.equal(await page.locator('#table tr[data-id="shop-feature-auth"] .shared').innerText(), 'shared');
		await pane.locator('#qr img').screenshot({ path: path.join(out, 'lan-qr.png') });
		await page.screenshot({ path: path.join(out, 'lan-dashboard.png') });
		return await decode(path.join(out, 'lan-qr.png'));
	} finally {
		await browser.close();
	}
}

async function trustingHome() {
	const home = fs.mkdtempSync(path.join(world.dir, 'home-'));
	const { stdout } = await world.devmesh(world.dir, 'trust');

	await run('sh', ['-c', /^Chrome, Linux:\s+(.*)$/m.exec(stdout)[1]], { env: { ...world.env, HOME: home } });
	return home;
}

const refusal = async (page, to) => {
	const response = await page.goto(to);

	assert.equal(response.status(), 403);
	return page.locator('body').innerText();
};

// On the laptop: from one address to the other.
const move = (from, to) => `ip addr del ${from}/24 dev lan0; ip addr add ${to}/24 dev lan0; ip route replace default dev lan0`;

// The URL, in the page that has been open since before.
async function opensAt(page, where, ms) {
	const began = Date.now();

	await until(`the same URL opens at ${where}`, async () => {
		const again = await page.goto(url, { timeout: 5000 }).catch(() => null);

		return again?.status() === 200 && (await again.serverAddr())?.ipAddress === where;
	}, ms);
	assert.equal(await page.locator('h1').innerText(), 'tiny app');
	console.log(`# opened at ${where} after ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

async function test(phone) {
	const repo = await world.repo('shop', 'server');
	const tree = await world.worktree(repo, 'feature/auth');
	const trusting = await trustingHome();

	await world.devmesh(repo, 'run', '-d', '--', process.execPath, 'tiny.cjs');
	await world.devmesh(tree, 'run', '-d', '--', process.execPath, 'tiny.cjs');
	await phone.connect();

	// a phone that trusts nobody yet: nothing is shared, and it is led to what it needs
	const stranger = await phone.browser(fs.mkdtempSync(path.join(world.dir, 'home-')));
	await assert.rejects(stranger.page.goto(url), /ERR_CERT_AUTHORITY_INVALID/);
	// in a page of its own: the one above is still on its way to the browser's own page on errors
	const setup = await stranger.page.context().newPage();
	await setup.goto(`http://${address}:5380/phone?id=shop-feature-auth`);
	await until('only the certificate is missing', async () => (await setup.evaluate(() => document.body.dataset.step)) === 'ca');
	await setup.screenshot({ path: path.join(out, 'lan-stranger.png') });
	await stranger.close();

	const { page, picture, close } = await phone.browser(trusting);
	assert.match(await refusal(page, url), /not shared/);
	await picture('refused');
	assert.match(await refusal(page, `https://devmesh.${domain}/`), /Nothing is shared/);

	// the code leads there, by name, through our DNS, with a green lock
	const code = await shareInTheDashboard(trusting);
	assert.equal(code, url.replace(/\/$/, ''));
	const response = await page.goto(code);
	assert.equal(response.status(), 200);
	assert.equal(await page.locator('h1').innerText(), 'tiny app');
	assert.match((await response.securityDetails()).issuer, /devmesh/i);
	assert.equal((await response.serverAddr()).ipAddress, address);
	await picture('shared');
	// and nothing else: the other worktree, the dashboard
	assert.match(await refusal(page, `https://shop-main.${domain}/`), /not shared/);
	await page.goto(`https://devmesh.${domain}/`);
	await picture('list');
	assert.deepEqual(await page.locator('a').allInnerTexts(), ['shop-feature-auth']);
	await page.getByRole('link', { name: 'shop-feature-auth' }).click();
	await until('the list leads there', () => page.url() === url);

	// another address of the laptop alone: Chromium keeps one that it knows for a minute at least,
	// whatever the answer's time to live (kMinimumTTLSeconds of its host resolver)
	await run('sh', ['-ec', move(address, alone)]);
	phone.ask(alone);
	await opensAt(page, alone, 90000);

	// another Wi-Fi, which gives both another address: the phone notices, and asks anew
	await Promise.all([run('sh', ['-ec', move(alone, elsewhere)]),
		phone.run('sh', '-ec', `ip addr del 10.77.0.20/24 dev phone0; ip addr add 10.78.0.20/24 dev phone0; ip route replace default via ${elsewhere}`)]);
	phone.ask(elsewhere);
	await opensAt(page, elsewhere, 30000);
	await picture('moved');

	// private again
	await world.devmesh(tree, 'unshare');
	assert.match(await refusal(page, url), /not shared/);
	await close();
}

const phone = new Phone();
let failed = 0;
try {
	await world.start({ within: true, more: { DEVMESH_DAEMON_START: 'yes', DEVMESH_DNS_ENABLED: 'yes', DEVMESH_LAN_ENABLED: 'yes', DEVMESH_MESH_DOMAIN: domain, DEVMESH_LOCAL_HTTPS_PORT: '443', DEVMESH_LOCAL_HTTP_PORT: '80' } });
	await test(phone);
} catch (error) {
	console.error(error);
	failed = 1;
} finally {
	phone.end();
	await world.devmesh(world.dir, 'down', '--all').catch(() => {});
	await world.end();
}
process.exit(failed);
