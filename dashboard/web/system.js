// SPDX-License-Identifier: MIT
// What the services stand on: the machine, live; Caddy, its certificate and names, looked at.
import { get } from './act.js';
import { $, copy, el, once, setText } from './dom.js';
import { ago, mesh, size } from './model.js';

let facts = null, failed = null, looking = false;

async function look(fresh) {
	if (looking) return;
	looking = true;
	draw();
	try {
		if (!mesh.load.node) mesh.load = await get('/api/v1/load'); // the stream's first comes later
		draw();
		facts = await get(`/api/v1/system${fresh ? '?fresh=true' : ''}`);
		failed = null;
	} catch (error) {
		failed = error.message;
	}
	looking = false;
	draw();
}

// ---- the machine ----

const percent = (share) => `${Math.round(share * 100)} %`;

function days(seconds) {
	return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

// Shares are shown as meters; what is said beside them is all that they show.
function shares(n) {
	const used = (total, available) => (total ? { share: 1 - available / total, text: `${size(total - available)} of ${size(total)}` } : null);

	return [
		['CPU', n.cpu === null ? null : { share: n.cpu, text: `${percent(n.cpu)} of ${n.cores} cores` }],
		['Memory', used(n.memory_total, n.memory_available)],
		['Disk', used(n.disk_total, n.disk_available)],
	];
}

function machine() {
	const meters = ['CPU', 'Memory', 'Disk'].map((name) => ({ name, meter: el('meter', { min: 0, max: 1, high: 0.9, optimum: 0, value: 0, 'aria-label': name }), text: el('span') }));
	const load = el('dd'), uptime = el('dd');
	const card = el('article', { class: 'card' }, el('h3', {}, 'Machine'),
		...meters.map((m) => el('div', { class: 'measure' }, el('span', {}, m.name), m.meter, m.text)),
		el('dl', {}, el('dt', {}, 'Load'), load, el('dt', {}, 'Running for'), uptime));

	return { card, fill() {
		const n = mesh.load.node;

		shares(n ?? { cpu: null }).forEach(([, now], i) => {
			meters[i].meter.value = now?.share ?? 0;
			setText(meters[i].text, now?.text ?? (n ? 'not known yet' : '…'));
		});
		setText(load, n && n.load1 !== null ? n.load1.toFixed(2) : '…');
		setText(uptime, n && n.uptime_s !== null ? days(n.uptime_s) : '…');
	} };
}

// ---- what was looked at ----

const badge = (state, text) => el('span', { class: 'badge', 'data-state': state }, text);

function list(pairs) {
	return el('dl', {}, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== '').flatMap(([name, value]) =>
		[el('dt', {}, name), el('dd', {}, typeof value === 'string' ? el('bdi', {}, value) : value)]));
}

function command(text) {
	const button = el('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${text}` }, 'copy');

	button.addEventListener('click', () => copy(text, button));
	return el('div', { class: 'command' }, el('code', {}, text), button);
}

const card = (title, state, word, pairs, ...rest) => el('article', { class: 'card' },
	el('h3', {}, title, ' ', badge(state, word)), list(pairs), ...rest);

// What is wrong, and what mends it: a command, and what else is to be said.
function trouble({ problem, fix }) {
	const [run, note] = (fix ?? '').split(/ {3,}/);

	return [problem && el('p', {}, problem), run && command(run), note && el('p', { class: 'lead' }, note)].filter(Boolean);
}

function caddy({ caddy: c }) {
	const [state, word] = !c.answers ? ['stale', 'does not answer'] : c.drift ? ['degraded', 'changed by hand']
		: c.drift === false ? ['up', 'as written'] : ['up', 'answers'];

	return card('Caddy', state, word, [
		['Version', c.version && `${c.version}${c.version_of === 'installed' ? ' (as installed)' : ''}`],
		['Reloads', c.class && (c.class === '2.6' ? 'close WebSockets (before 2.7)' : 'can keep WebSockets open (2.7 or later)')],
		['Admin API', c.admin], ['Written in', c.config],
		['Differs', c.drift_detail],
	], ...trouble(c));
}

const date = (seconds) => new Date(seconds * 1000).toLocaleString();

// A certificate of Caddy's own CA lives for hours, and is renewed all the time.
function certificate({ certificate: c }) {
	const lasts = c.not_after === null ? null : (c.not_after - c.not_before) / 86400;
	const soon = lasts !== null && lasts > 20 && c.days_left < 7;
	const [state, word] = c.not_after === null ? [c.problem ? 'stale' : 'down', c.problem ? 'none' : 'not looked at']
		: c.days_left < 0 ? ['stale', 'expired'] : soon ? ['degraded', 'expires soon']
			: c.trusted_by ? c.trusted_by !== 'system' ? ['degraded', 'not trusted by this system'] : c.problem ? ['degraded', 'has a problem'] : ['up', 'valid'] : ['stale', 'not trusted'];
	const left = c.days_left === null ? null : c.days_left < 0 ? `since ${date(c.not_after)}`
		: c.days_left < 2 ? `${Math.round(c.days_left * 24)} hours, until ${date(c.not_after)}` : `${Math.floor(c.days_left)} days, until ${date(c.not_after)}`;

	return card('Certificate', state, word, [
		['For', c.host], ['From', c.issuer], [c.days_left < 0 ? 'Expired' : 'Left', left],
		['Trusted by', c.not_after === null ? null : c.trusted_by === 'system' ? 'this system' : c.trusted_by ? 'the private mesh’s root alone' : 'nobody'],
		['Not looked at', c.not_checked],
	], ...trouble(c));
}

function names({ dns: d, domain }) {
	const [state, word] = d.resolves ? d.problem ? ['degraded', 'have a problem'] : ['up', 'resolve'] : !d.name ? ['down', 'not looked at']
		: /(^|\.)localhost$/.test(domain) ? ['degraded', 'for browsers only'] : ['stale', 'do not resolve'];

	return card('Names', state, word, [
		['Looked up', d.name], ['Leads to', d.resolves ? d.addresses.join(', ') : d.name && 'nothing'], ['Not looked at', d.not_checked],
	], ...trouble(d));
}

// The newer of what was looked at and what an event has told since.
const newer = (told, found) => (told && told.serial > found.serial ? told : found);

function network({ network: found, record }) {
	const n = newer(mesh.network, found), r = mesh.record ?? record;
	const [state, word] = !n.address ? ['stale', 'none'] : r.problem ? ['degraded', 'record not kept'] : ['up', n.enabled ? 'shared' : 'this machine alone'];

	return card('Network', state, word, [
		['Address', n.address && `${n.address}/${n.prefix}`], ['And', n.ipv6], ['Interface', n.interface],
		['DNS record', r.action && `${r.name} → ${r.address}`],
	], ...trouble({ problem: n.problem ?? r.problem, fix: n.problem ? null : r.fix }));
}

function daemon({ devmeshd: m, history: h }) {
	return card('devmeshd', h.problem ? 'degraded' : 'up', h.problem ? 'without history' : 'runs', [
		['Version', m.version], ['Memory', m.rss && size(m.rss)], ['Running for', ago(m.started)], ['Process', String(m.pid)],
		['History', size(h.bytes)], ['Problem', h.problem],
	]);
}

const live = machine();
const boxes = el('div', { class: 'cards' });

export function draw() {
	once($('system-cards'), 'cards', () => [live.card, boxes]);
	live.fill();
	$('system-look').disabled = looking;
	once(boxes, JSON.stringify([facts, mesh.network, mesh.record, failed, looking && !facts, facts && ago(facts.devmeshd.started)]), () => (facts
		? [failed && el('p', {}, failed), caddy(facts), certificate(facts), names(facts), network(facts), daemon(facts)].filter(Boolean)
		: [el('p', { class: 'lead' }, looking ? 'Looking …' : failed ?? '')]));
}

export function enter() {
	look(false);
}

$('system-look').addEventListener('click', () => look(true));
