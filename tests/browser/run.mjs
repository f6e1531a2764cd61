// SPDX-License-Identifier: MIT
// The tests in a real browser: devmesh, Caddy, dev servers and Chromium, as a person uses them.
// Prints TAP: node run.mjs [phone]. DEVMESH_TEST='next*' runs those whose name matches.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as nap } from 'node:timers/promises';
import { launch, watchedPage } from './browser.mjs';
import { out, World } from './world.mjs';
import devServers from './dev_servers.mjs';
import dashboard from './dashboard.mjs';
import lives from './lives.mjs';
import phone from './phone.mjs';
import transfers from './transfers.mjs';

const LIMIT_MS = 180000; // of one test

const pattern = new RegExp(`^${(process.env.DEVMESH_TEST || '*')
	.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
const tests = Object.entries(process.argv[2] === 'phone' ? phone : { ...devServers, ...transfers, ...dashboard, ...lives })
	.filter(([name]) => pattern.test(name));
const world = new World();
let ending;

const comment = (error) => String(error?.stack ?? error).replace(/^/gm, '# ');

// Whatever happens, nothing stays behind.
function end() {
	ending ??= (async () => {
		// a browser that hangs is killed when this process exits
		const closed = Promise.race([world.browser?.close(), nap(3000, null, { ref: false })]);
		await Promise.all([world.end(), closed.catch(() => {})]);
	})();
	return ending;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
	process.once(signal, () => end().finally(() => process.exit(1)));

process.on('uncaughtException', (error) => {
	console.log(comment(error));
	end().finally(() => process.exit(1));
});

// Returns what the test does: why it was skipped, or nothing.
async function runTest(name, test) {
	const context = await world.browser.newContext({ viewport: { width: 960, height: 600 } });
	context.setDefaultNavigationTimeout(60000);
	const services = [];
	const t = {
		world,
		page: () => watchedPage(context),
		// Services that end with the test.
		run: async (...args) => {
			const service = await world.run(...args);
			services.push(service);
			return service;
		},
	};
	let timer;

	try {
		return await Promise.race([test(t), new Promise((_, fail) => {
			timer = setTimeout(() => fail(new Error(`not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
		})]);
	} catch (error) {
		for (const [i, page] of context.pages().entries())
			await page.screenshot({ path: path.join(out, `failed-${name}-${i}.png`), timeout: 5000 })
				.catch(() => {});
		throw error;
	} finally {
		clearTimeout(timer);
		await context.close().catch(() => {});
		await Promise.all(services.map((service) => service.end()));
	}
}

async function main() {
	let failed = 0;

	console.log(`1..${tests.length}`);
	await world.start();
	process.env.TMPDIR = world.env.TMPDIR; // the browser's profiles
	// what `devmesh trust` tells people to do
	const { stdout } = await world.devmesh(world.dir, 'trust');
	await world.shell(/^Chrome, Linux:\s+(.*)$/m.exec(stdout)[1]);
	world.browser = await launch(world.env, world.env.HOME);
	for (const [i, [name, test]] of tests.entries()) {
		const began = Date.now();
		let error;

		const skipped = await runTest(name, test).catch((e) => void (error = e));
		if (ending) return 1; // interrupted
		failed += error !== undefined;
		if (error) console.log(comment(error));
		const how = skipped ? `SKIP ${skipped.replace(/\s+/g, ' ')}` : `${((Date.now() - began) / 1000).toFixed(1)} s`;
		console.log(`${error ? 'not ok' : 'ok'} ${i + 1} - ${name} # ${how}`);
	}
	return failed;
}

if (process.platform !== 'linux') {
	// the trust store that is filled here is that of Linux
	console.log(`1..${tests.length}`);
	for (const [i, [name]] of tests.entries()) console.log(`ok ${i + 1} - ${name} # SKIP not on Linux`);
	process.exit(0);
}
main()
	.catch((error) => {
		console.log(comment(error));
		return 1;
	})
	.then(async (failed) => {
		await end();
		if (fs.existsSync(world.dir ?? '')) console.log(`# ${world.dir} could not be removed`);
		process.exit(failed > 0 ? 1 : 0);
	});
