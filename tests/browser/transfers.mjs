// SPDX-License-Identifier: MIT
// What goes through Caddy and `devmesh run` other than pages: WebSockets, events, large bodies.
import assert from 'node:assert/strict';
import fs from 'node:fs';

const MB = 1 << 20;

async function opened(t, name) {
	const dir = await t.world.repo(name, 'server');
	const service = await t.run(dir, 'node', 'server.cjs');
	const page = await t.page();

	await page.goto(service.url);
	return { service, page };
}

async function websocketEcho(t) {
	const { page } = await opened(t, 'echo');
	const seen = await page.evaluate(async (size) => {
		const connect = () => new Promise((done, fail) => {
			const socket = new WebSocket(`wss://${location.host}/echo`);
			socket.binaryType = 'arraybuffer';
			socket.onopen = () => done(socket);
			socket.onerror = () => fail(new Error('no WebSocket'));
		});
		const next = (socket, event) => new Promise((done) =>
			socket.addEventListener(event, done, { once: true }));
		const result = {};

		const socket = await connect();
		const large = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 255);
		socket.send(large);
		const echo = new Uint8Array((await next(socket, 'message')).data);
		result.large = echo.length === large.length && echo.every((byte, i) => byte === large[i]);

		const got = [];
		await new Promise((done) => {
			socket.onmessage = ({ data }) => got.push(data) === 100 && done();
			for (let i = 0; i < 100; i++) socket.send(`message ${i}`);
		});
		result.inOrder = got.every((data, i) => data === `message ${i}`);
		socket.close(4002, 'enough');
		const { code, reason, wasClean } = await next(socket, 'close');
		result.closedByPage = [code, reason, wasClean];

		for (const how of ['close', 'break']) {
			const other = await connect();
			other.send(`${how}, please`);
			const event = await next(other, 'close');
			result[how] = [event.code, event.reason, event.wasClean];
		}
		result.server = await (await fetch('/closes')).json();
		return result;
	}, MB);

	assert.equal(seen.large, true, '1 MB comes back as it was');
	assert.equal(seen.inOrder, true, '100 messages come back in order');
	assert.deepEqual(seen.closedByPage, [4002, 'enough', true]);
	assert.deepEqual(seen.close, [4001, 'as you wish', true]);
	assert.deepEqual(seen.break, [1006, '', false]);
	assert.deepEqual(seen.server, [[4002, 'enough'], [4001, 'as you wish'], [1006, '']]);
}

// The server sends an event only after the page has told it of the one before.
async function serverSentEvents(t) {
	const { page } = await opened(t, 'news');
	const got = await page.evaluate(() => new Promise((done, fail) => {
		const events = new EventSource('/events?name=x');
		const list = [];

		events.onmessage = ({ data, lastEventId }) => {
			list.push(data);
			fetch(`/ack?name=x&part=${lastEventId}`);
		};
		events.addEventListener('end', () => (events.close(), done(list)));
		events.onerror = () => fail(new Error(`the stream broke after ${list.length} events`));
	}));

	assert.deepEqual(got, Array.from({ length: 20 }, (_, i) => `event ${i}`));
	assert.deepEqual(page.seen.errors, []);
}

// The first half of an answer comes while the server has not sent the other one.
async function slowAnswer(t) {
	const { page } = await opened(t, 'slow');
	const got = await page.evaluate(async () => {
		const reader = (await fetch('/slow?name=x')).body.pipeThrough(new TextDecoderStream()).getReader();
		let body = '', told = false;

		for (;;) {
			const { done, value } = await reader.read();
			if (done) return body;
			body += value;
			if (body.length >= 1000 && !told) {
				told = true;
				await fetch('/ack?name=x&part=0');
			}
		}
	});

	assert.equal(got, '1'.repeat(1000) + '2'.repeat(1000));
}

// The most memory that a process has had, in bytes.
function peakMemory(pid) {
	return Number(/^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

function assertSmall(service) {
	const peak = peakMemory(service.pid);

	assert.ok(peak < 50 * MB, `devmesh run kept it in memory: ${peak >> 20} MB`);
}

// The rest of the body is only made when the server says that it has the beginning.
async function uploads(t) {
	const { service, page } = await opened(t, 'upload');
	const seen = await page.evaluate(async ([size, MB]) => {
		const body = new Uint8Array(size);
		let at = 0;

		for (let i = 0; i < size; i += 65536) crypto.getRandomValues(body.subarray(i, i + 65536));
		const stream = new ReadableStream({
			async pull(controller) {
				while (at === MB && (await (await fetch('/uploaded?name=x')).json()) < MB);
				controller.enqueue(body.slice(at, at + MB));
				at += MB;
				if (at >= size) controller.close();
			},
		}, { highWaterMark: 0 });
		const hex = (buffer) => Array.from(new Uint8Array(buffer),
			(byte) => byte.toString(16).padStart(2, '0')).join('');
		const sha256 = hex(await crypto.subtle.digest('SHA-256', body));
		const post = async (name, content) => (await fetch(`/upload?name=${name}`,
			{ method: 'POST', body: content, duplex: 'half' })).json();

		return { sha256, streamed: await post('x', stream), whole: await post('y', new Blob([body])) };
	}, [100 * MB, MB]);

	for (const answer of [seen.streamed, seen.whole])
		assert.deepEqual(answer, { bytes: 100 * MB, sha256: seen.sha256 });
	assertSmall(service);
}

// The server sends the rest only when the page has said that it has the beginning.
async function downloads(t) {
	const { service, page } = await opened(t, 'download');
	const seen = await page.evaluate(async ([size, MB]) => {
		const reader = (await fetch(`/download?name=x&bytes=${size}`)).body.getReader();
		const body = new Uint8Array(size);
		let at = 0, told = false;

		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			body.set(value, at);
			at += value.length;
			if (at >= MB && !told) {
				told = true;
				await fetch('/ack?name=x&part=0');
			}
		}
		const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
		return {
			bytes: at,
			sha256: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''),
			sent: await (await fetch('/sha256?name=x')).json(),
		};
	}, [100 * MB, MB]);

	assert.equal(seen.bytes, 100 * MB);
	assert.equal(seen.sha256, seen.sent);
	assertSmall(service);
}

export default {
	websocket_echo: websocketEcho,
	server_sent_events: serverSentEvents,
	slow_answer: slowAnswer,
	upload_of_100_mb: uploads,
	download_of_100_mb: downloads,
};
