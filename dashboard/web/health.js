// SPDX-License-Identifier: MIT
// How well a service has been, and what it uses now.
import { get } from './act.js';
import { el, once, setText } from './dom.js';
import { mesh, size } from './model.js';

const AGAIN_MS = 60000, SOON_MS = 1000;
const windows = [[1, '1 h'], [24, '24 h'], [168, '7 d']];
const SVG = 'http://www.w3.org/2000/svg';

let hours = 24;
let shown = null; // {id, hours, key, data, failed, asked}

async function look(mine) {
	try {
		if (!mesh.load.node) mesh.load = await get('/api/v1/load'); // the stream's first comes later
		mine.data = await get(`/api/v1/services/${mine.id}/history?hours=${mine.hours}`);
		mine.failed = null;
	} catch (error) {
		mine.failed = error.message;
	}
	if (shown === mine) mine.again();
}

const percent = (share) => `${share === 1 ? '100' : Math.min(99.9, share * 100).toFixed(1)} %`;

const day = (seconds) => new Date(seconds * 1000);

function svg(name, attributes) {
	const element = document.createElementNS(SVG, name);

	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	return element;
}

// The share is the height; what was never up is a low line, what nobody knows a dot: no colour is needed.
function bar({ bars, from, to }) {
	const known = bars.filter((b) => b !== null);
	const picture = svg('svg', { viewBox: '0 0 300 40', preserveAspectRatio: 'none', role: 'img', class: 'uptime',
		'aria-label': `${known.length} of 60 parts are known; all the time up in ${known.filter((b) => b === 1).length}, never up in ${known.filter((b) => b === 0).length}` });

	bars.forEach((share, i) => {
		const height = share === null ? 2 : share === 0 ? 4 : 6 + share * 34;
		const cell = svg('rect', { x: i * 5 + (share === null ? 1 : 0), y: 40 - height, width: share === null ? 2 : 4, height,
			class: share === null ? 'unknown' : share >= 0.99 ? 'whole' : share === 0 ? 'none' : 'part' });
		const title = svg('title', {});
		const begin = from + (to - from) * i / 60;

		title.textContent = `${day(begin).toLocaleString()}: ${share === null ? 'not known' : `up ${percent(share)}`}`;
		cell.append(title);
		picture.append(cell);
	});
	return picture;
}

function lasted(seconds) {
	const s = Math.round(seconds);

	return seconds < 1 ? '<1 s' : s < 120 ? `${s} s` : s < 7200 ? `${Math.round(s / 60)} min` : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

const CHANGES = 100;

function changes({ segments }) {
	return el('ol', { class: 'log', 'aria-label': 'Changes, the newest first' }, ...segments.slice(-CHANGES).reverse().map((s) =>
		el('li', {}, el('time', { datetime: day(s.from).toISOString() }, day(s.from).toLocaleString()),
			el('span', { class: 'badge', 'data-state': s.state }, s.state), ` for ${lasted(s.to - s.from)}`)));
}

function past({ data, failed }) {
	if (!data) return [el('p', { class: 'lead' }, failed ?? 'Looking …')];
	return [
		el('p', {}, ...(data.uptime === null ? ['Nothing is known of this time.'] : [el('strong', {}, percent(data.uptime)), ' of the known time up'])),
		bar(data),
		el('p', { class: 'lead ends' }, el('span', {}, day(data.from).toLocaleString()), el('span', {}, 'now')),
		el('p', { class: 'lead' }, 'High: up. Lower: part of the time. A low line: not up. A dot: not known.'),
		el('h3', {}, 'Changes'), changes(data),
		failed && el('p', {}, failed),
	].filter(Boolean);
}

function choice() {
	return windows.map(([n, name]) => el('button', { type: 'button', 'aria-pressed': String(n === hours), on: { click: () => {
		hours = n;
		shown.again();
	} } }, name));
}

function use(service) {
	const now = mesh.load.services?.[service.id];
	const cpu = now?.cpu ?? null, rss = now?.rss ?? null;

	return [
		['CPU', cpu === null ? null : `${Math.round(cpu * 100)} % of a core`],
		['Memory', rss === null ? null : size(rss)],
		['Processes', now?.processes === undefined || now.processes === null ? null : String(now.processes)],
	];
}

const parts = { choice: el('div', { class: 'actions', role: 'group', 'aria-label': 'How far back' }), past: el('div'), use: el('dl') };
const values = ['CPU', 'Memory', 'Processes'].map((name) => {
	const value = el('dd');

	parts.use.append(el('dt', {}, name), value);
	return value;
});

export function draw(box, service) {
	const again = () => draw(box, mesh.services.get(service.id) ?? service);
	const key = `${service.id} ${hours} ${service.state} ${service.since}`;

	once(box, 'health', () => [el('h3', {}, 'Now'), parts.use, el('h3', {}, 'Up'), parts.choice, parts.past]);
	use(service).forEach(([, text], i) => setText(values[i], text ?? 'not known'));
	once(parts.choice, `${service.id} ${hours}`, choice);
	const same = shown?.id === service.id && shown.hours === hours;
	const age = Date.now() - (shown?.asked ?? 0);

	// of one that changes all the time it is not asked at each change
	if (!same || age > AGAIN_MS || (shown.key !== key && age > SOON_MS)) {
		// what is there stays until the new one has come, unless it is of something else
		shown = { id: service.id, hours, key, data: same ? shown.data : null, failed: null, asked: Date.now(), again };
		look(shown);
	}
	shown.again = again;
	once(parts.past, JSON.stringify([shown.id, shown.data, shown.failed]), () => past(shown));
}

export function leave() {
	shown = null;
}
