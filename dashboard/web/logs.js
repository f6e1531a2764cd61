// SPDX-License-Identifier: MIT
// What services write, as they write it: of one, in its pane, and of all.
import { get, loginHint, readSession, session } from './act.js';
import { coloured, plain } from './ansi.js';
import { el, once } from './dom.js';
import { live } from './model.js';

const LINES = 2000; // on the page; the whole is for downloading

const panes = new Map(); // box: the one that is open in it

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

// "/x/" is a regular expression; one that is none yet, and all else, is text.
function matcher(text) {
	const re = /^\/(.+)\/$/.exec(text);

	try {
		if (re) return (line) => new RegExp(re[1], 'i').test(line);
	} catch { /* not complete */ }
	return (line) => line.toLowerCase().includes(text.toLowerCase());
}

function row(line, withId) {
	return el('li', { 'data-stream': line.stream },
		el('time', { datetime: new Date(line.time_ms).toISOString() }, clock(line.time_ms)),
		withId ? el('b', {}, line.id) : null,
		line.stream === 'err' ? el('span', { class: 'hidden' }, 'stderr: ') : null,
		el('span', { class: 'text' }, ...(line.stream === 'note' ? [line.text] : coloured(line.text))));
}

async function download(pane) {
	const { lines } = await get(`${pane.path}?lines=10000`);
	const text = lines.map((line) => `${new Date(line.time_ms).toISOString()} ${pane.id ? '' : `${line.id} `}${plain(line.text)}\n`).join('');
	const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));

	el('a', { href: url, download: `${pane.id ?? 'services'}.log` }).click();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function filter(pane) {
	const fits = matcher(pane.search.value);
	let n = 0;

	for (const { element, text } of pane.rows) {
		element.hidden = !fits(text);
		if (!element.hidden) n++;
	}
	pane.count.textContent = pane.search.value ? `${n} of ${pane.rows.length} lines` : `${n} lines`;
	pane.none.hidden = n > 0;
}

function scroll(pane) {
	if (pane.follows.checked) pane.list.scrollTop = pane.list.scrollHeight;
}

function add(pane, lines) {
	const fits = matcher(pane.search.value);

	for (const line of lines) {
		if (line.number <= (pane.last.get(line.id) ?? 0)) continue;
		pane.last.set(line.id, line.number);
		pane.since = Math.max(pane.since, line.time_ms);
		const one = { element: row(line, !pane.id), text: `${pane.id ? '' : line.id} ${plain(line.text)}` };

		one.element.hidden = !fits(one.text);
		pane.rows.push(one);
		pane.list.append(one.element);
	}
	for (const { element } of pane.rows.splice(0, Math.max(0, pane.rows.length - LINES))) element.remove();
	filter(pane);
	scroll(pane);
}

const pauseFor = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function follow(pane) {
	let wait = 0;

	while (!pane.aborter.signal.aborted) {
		if (document.hidden || live.paused) {
			await pauseFor(300);
			continue;
		}
		const from = pane.id ? `after=${pane.last.get(pane.id) ?? 0}` : `since=${Math.max(0, pane.since - 2000)}`;

		try {
			const { lines } = await get(`${pane.path}?${from}&lines=${LINES}&wait=${wait}`, { signal: pane.aborter.signal });
			const known = pane.rows.length;

			add(pane, lines);
			pane.note.textContent = '';
			wait = 20;
			// of all services what was shown of the last millisecond comes again
			if (!pane.id && pane.rows.length === known) await pauseFor(300);
		} catch (error) {
			if (pane.aborter.signal.aborted) return;
			// the login has ended, or it is only that the daemon has begun anew
			if (error.status === 403) await readSession();
			if (error.status === 403 && !session.may_change && !pane.aborter.signal.aborted) {
				show(pane.box, pane.id);
				return;
			}
			pane.note.textContent = error.status === 404
				? 'Nothing is kept yet. It is of what devmesh run starts.' : error.message;
			filter(pane);
			await pauseFor(1000);
		}
	}
}

function open(box, id) {
	const pane = { box, id, path: id ? `/api/v1/services/${id}/logs` : '/api/v1/logs', rows: [], last: new Map(), since: 0, aborter: new AbortController() };

	pane.list = el('ol', { class: 'output', tabindex: 0, 'aria-label': id ? `Output of ${id}` : 'Output of all services' });
	pane.search = el('input', { type: 'search', placeholder: 'Search: text or /expression/', 'aria-label': 'Show only lines with', autocomplete: 'off', spellcheck: 'false', on: { input: () => { filter(pane); scroll(pane); } } });
	pane.follows = el('input', { type: 'checkbox', checked: true, on: { change: () => scroll(pane) } });
	pane.count = el('span', { class: 'lead' });
	pane.note = el('p', { class: 'lead', role: 'status' });
	pane.none = el('p', { class: 'lead', hidden: true }, 'No line.');
	const save = el('button', { type: 'button' }, 'Download');

	save.addEventListener('click', () => download(pane).catch((error) => { pane.note.textContent = error.message; }));
	// to look further up is to stop following
	pane.list.addEventListener('wheel', () => {
		pane.follows.checked = pane.list.scrollTop + pane.list.clientHeight >= pane.list.scrollHeight - 40;
	}, { passive: true });
	once(box, `open ${id}`, () => [el('div', { class: 'filters' }, pane.search, el('label', {}, pane.follows, ' follow'), save, pane.count), pane.note, pane.list, pane.none]);
	panes.set(box, pane);
	follow(pane);
}

function close(box) {
	panes.get(box)?.aborter.abort();
	panes.delete(box);
}

// Opens what is to be seen in the box: id null is all; once is enough.
export function show(box, id) {
	if (!session.may_change) {
		close(box);
		once(box, 'login', () => [el('p', { class: 'lead' }, 'What services write is for who is logged in.'), loginHint() || '']);
	} else if (panes.get(box)?.id !== id) {
		close(box);
		open(box, id);
	}
}

export const hide = close;

// As a tab of the pane of a service.
let tab = null;

export function draw(box, service) {
	tab = box;
	show(box, service.id);
}

export function leave() {
	if (tab) close(tab);
	tab = null;
}
