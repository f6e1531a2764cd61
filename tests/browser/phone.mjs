// SPDX-License-Identifier: MIT
// What a phone sees: the page that sets it up, in a network of its own (phone_net.mjs), which is a
// namespace with one interface, so that nobody else is reached; and what is shared with it, as
// another machine of that network (phone_lan.mjs).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { source } from './world.mjs';

const address = '10.77.0.1';
const alone = `ip link set lo up && ip link add phone0 type veth peer name phone1 && ip addr add ${address}/24 dev phone0 &&
	ip link set phone1 up && ip link set phone0 up && ip route add default dev phone0`;
const cable = `ip link set lo up && ip link add lan0 type veth peer name phone0 && ip addr add ${address}/24 dev lan0 &&
	ip link set lan0 up && ip route add default dev lan0`;

async function inNetwork(command, options) {
	const child = spawn('unshare', ['--net', ...(process.getuid() === 0 ? [] : ['--map-root-user']), 'sh', '-c', command], options);
	let text = '';

	child.stdout.on('data', (bytes) => (text += bytes));
	child.stderr.on('data', (bytes) => (text += bytes));
	const [code] = await Promise.race([once(child, 'exit'), once(child, 'error').then(() => [127])]);
	return { code, text };
}

// A program of this directory in a network that `net` makes. Returns why it cannot, if so.
async function within(net, program) {
	const options = { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }, cwd: source };
	const able = await inNetwork(net, options);

	if (able.code !== 0) return `this system does not let us have a network: ${able.text.trim()}`;
	const { code, text } = await inNetwork(
		`${net} && exec '${process.execPath}' '${path.join(source, 'tests/browser', program)}' ${address}`, options);
	assert.equal(code, 0, text);
	if (text) console.log(text.trimEnd());
}

const phonePage = () => within(alone, 'phone_net.mjs');
const phoneOnTheLan = () => within(cable, 'phone_lan.mjs');

export default { phonePage, phoneOnTheLan };
