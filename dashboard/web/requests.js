// SPDX-License-Identifier: MIT
// The requests of one service: how it goes, and each of the last ones, while they are looked at.
import { get, readSession, session } from './act.js';
import { $, copy, el, isLink, once, setText, sparkPath, sparkline, word } from './dom.js';
import { ago, mesh, size } from './model.js';

const KEPT = 500; // as many as devmeshd keeps
const WAIT = 15; // seconds that it waits for another one before it answers
const classes = ['all', '2xx', '3xx', '4xx', '5xx'];

document.head.append(el('link', { rel: 'stylesheet', href: '/web/requests.css' }));

let shown = null; // what is followed: {id, service, after, list, log, and its elements}
let only = 'all';

const nap = (ms) => new Promise((done) => { setTimeout(done, ms); });
const rests = () => document.hidden || $('live').getAttribute('aria-pressed') === 'false';
const classOf = (request) => `${Math.floor(request.status / 100)}xx`;
const took = (ms) => (ms >= 10000 ? `${(ms / 1000).toFixed(1)} s` : `${ms} ms`);

// The path is text, and never joined as a relative URL: "//host/x" would be one of another host.
function curl({ url }, { method, path }) {
	const words = ['curl'];

	if (/[[\]{}]/.test(path)) words.push('-g');
	if (/\/\.\.?(\/|$)/.test(path)) words.push('--path-as-is');
	if (method === 'HEAD') words.push('-I');
	else if (method !== 'GET') words.push('-X', word(method));
	return [...words, word(url.replace(/\/$/, '') + path)].join(' ');
}

function line(service, request) {
	const time = new Date(request.time * 1000);
	const button = isLink(service.url) && request.path.startsWith('/')
		&& el('button', { type: 'button', class: 'copy', 'data-key': `curl ${request.seq}`, 'aria-label': `Copy as curl: ${request.method} ${request.path}` }, 'curl');

	if (button) button.addEventListener('click', () => copy(curl(service, request), button));
	return el('li', { 'data-class': classOf(request) },
		el('span', { class: 'status' }, request.status || '—'), el('span', { class: 'method' }, el('bdi', {}, request.method)),
		el('span', { class: 'path' }, el('bdi', {}, request.path)), button || el('span'),
		el('time', { datetime: time.toISOString(), title: `${time.toLocaleString()}, ${request.protocol}` }, time.toLocaleTimeString()),
		el('span', { class: 'took' }, `${took(request.ms)}, ${size(request.bytes)}`));
}

const fits = (request) => only === 'all' || classOf(request) === only;

function drawList(mine) {
	mine.lines.replaceChildren(...mine.list.filter(fits).reverse().map((request) => line(mine.service, request)));
	drawEmpty(mine);
}

function addTo(mine, requests) {
	const wanted = requests.filter(fits).reverse();

	mine.list.push(...requests);
	mine.list.splice(0, mine.list.length - KEPT);
	mine.lines.prepend(...wanted.map((request) => line(mine.service, request)));
	while (mine.lines.children.length > KEPT) {
		const last = mine.lines.lastElementChild;

		// the focus must not go with it
		if (last.contains(document.activeElement)) last.previousElementSibling?.querySelector('button')?.focus();
		last.remove();
	}
	drawEmpty(mine);
}

function drawEmpty(mine) {
	const none = !mine.lines.children.length && mine.log;

	once(mine.empty, none ? `${mine.log} ${mine.list.length > 0}` : '', () => (!none ? []
		: mine.log === 'off' ? ['The access log is turned off. In config.ini, below [local]:', el('code', {}, 'access_log = yes'), 'then', el('code', {}, 'devmesh stop && devmesh start')]
			: mine.log === 'none' ? ['Caddy writes no access log that devmeshd could read. A private mesh that runs since before there was one gets it by', el('code', {}, 'devmesh stop && devmesh start'), 'The Caddy of the whole machine, or one that you have set up yourself, has none.']
				: mine.list.length ? ['No recent request had this status.']
					: ['It was not asked for anything yet. Try', el('code', {}, `curl ${word(mine.service.url ?? '')}`)]));
	mine.empty.hidden = !none;
}

function drawSummary(mine) {
	const f = mesh.load.services[mine.id]?.requests ?? mine.figures;

	mine.summary.hidden = !f;
	if (!f) return;
	const d = sparkPath(f.spark);
	if (mine.path.getAttribute('d') !== d) mine.path.setAttribute('d', d);
	setText(mine.rate, String(f.rate));
	setText(mine.errors, `${(f.errors * 100).toFixed(f.errors && f.errors < 0.1 ? 1 : 0)} %`);
	setText(mine.times, f.p95_ms ? `${took(f.p50_ms)} / ${took(f.p95_ms)}` : '—');
	setText(mine.last, f.last ? `${ago(f.last)} ago` : '—');
}

async function follow(mine) {
	while (shown === mine) {
		if (rests()) {
			await nap(200);
			continue;
		}
		try {
			const answer = await get(`/api/v1/services/${mine.id}/requests?after=${mine.after}&wait=${mine.log ? WAIT : 0}`, { signal: mine.ends.signal });

			while (shown === mine && rests()) await nap(200);
			if (shown !== mine) return;
			mine.after = answer.seq;
			mine.log = answer.log;
			mine.figures = answer.figures;
			setText(mine.problem, '');
			addTo(mine, answer.requests);
			drawSummary(mine);
			if (answer.log !== 'on') await nap(2000);
		} catch (error) {
			if (shown !== mine) return;
			// the login has ended, or it is only that the daemon has begun anew
			if (error.status === 403) await readSession();
			if (shown !== mine) return;
			if (error.status === 403 && !session.may_change) {
				draw(mine.box, mine.service);
				return;
			}
			setText(mine.problem, `${error.message}. Trying again.`);
			await nap(2000);
		}
	}
}

function choose(mine, name) {
	only = name;
	for (const button of mine.chips.children) button.setAttribute('aria-pressed', String(button.textContent === only));
	drawList(mine);
}

function begin(box, service) {
	const { svg, path } = sparkline();
	const mine = { id: service.id, service, box, after: 0, list: [], log: null, figures: null, ends: new AbortController(), path,
		rate: el('dd'), errors: el('dd'), times: el('dd'), last: el('dd'), lines: el('ol', { class: 'asked' }),
		empty: el('div', { class: 'empty', hidden: true }), problem: el('p', { class: 'lead', role: 'status' }) };

	mine.chips = el('div', { class: 'chips', role: 'group', 'aria-label': 'Show only requests answered with' }, ...classes.map((name) =>
		el('button', { type: 'button', 'aria-pressed': String(only === name), on: { click: () => choose(mine, name) } }, name)));
	mine.summary = el('div', { hidden: true }, svg, el('dl', {},
		el('dt', {}, 'Requests in the last minute'), mine.rate, el('dt', {}, 'Failed (5xx)'), mine.errors,
		el('dt', { title: 'of the last ten minutes: half of them took no longer, and 95 of 100; a stream counts with its whole length' }, 'Took (p50 / p95)'), mine.times, el('dt', {}, 'Last one'), mine.last));
	shown = mine;
	once(box, `requests ${service.id}`, () => [mine.summary, mine.chips, mine.problem, mine.empty, mine.lines]);
	drawSummary(mine);
	follow(mine);
}

export function draw(box, service) {
	if (!session.may_change) {
		leave();
		once(box, 'requests: login', () => [el('p', { class: 'lead' }, 'What a service is asked for is shown to who is logged in, over HTTPS. Run ', el('code', {}, 'devmesh open'), ' in a terminal.')]);
	} else if (shown?.id === service.id && shown.box === box) {
		shown.service = service;
		drawSummary(shown);
	} else {
		leave();
		begin(box, service);
	}
}

export function leave() {
	shown?.ends.abort();
	shown = null;
}
