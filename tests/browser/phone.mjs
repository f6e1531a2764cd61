// SPDX-License-Identifier: MIT
// What a phone sees: the page that sets it up, in a network of its own (phone_net.mjs), which is a
// namespace with one interface, so that nobody else is reached.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { source } from './world.mjs';

const address = '10.77.0.1';
const net = `ip link set lo up && ip link add phone0 type veth peer name phone1 && ip addr add ${address}/24 dev phone0 &&
	ip link set phone1 up && ip link set phone0 up && ip route add default dev phone0`;

async function inNetwork(command, options) {
	const child = spawn('unshare', ['--net', ...(process.getuid() === 0 ? [] : ['--map-root-user']), 'sh', '-c', command], options);
	let text = '';

	child.stdout.on('data', (bytes) => (text += bytes));
	child.stderr.on('data', (bytes) => (text += bytes));
	const [code] = await Promise.race([once(child, 'exit'), once(child, 'error').then(() => [127])]);
	return { code, text };
}

async function phonePage() {
	const options = { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }, cwd: source };
	const able = await inNetwork(net, options);

	if (able.code !== 0) {
		console.log(`# phonePage: this system does not let us have a network: ${able.text.trim()}`);
		return;
	}
	const { code, text } = await inNetwork(
		`${net} && exec "$0" "$1" ${address}`.replace('"$0"', `'${process.execPath}'`)
			.replace('"$1"', `'${path.join(source, 'tests/browser/phone_net.mjs')}'`), options);
	assert.equal(code, 0, text);
}

export default { phonePage };
