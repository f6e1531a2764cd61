// SPDX-License-Identifier: MIT
// The table of services: rows are kept by id, and only the cells that differ are written.
import { $, copy, el, fresh, isLink, once, setText, sparkPath, sparkline } from './dom.js';
import { ago, groupOf, grouped, loadOf, mesh, nameOf, size, states } from './model.js';
import { go, hash, view } from './view.js';

const rows = new Map(); // id: {tr, cells, last}
const bodies = new Map(); // group: {tbody, name, roll}

const select = (id) => go({ sel: view.sel === id ? null : id }, true);

function makeRow(service) {
	const badge = el('span', { class: 'badge' });
	const text = el('bdi'), shared = el('span', { class: 'shared' });
	const name = el('button', { type: 'button', class: 'open-detail', on: { click: () => select(service.id) } }, text);
	const link = el('a', { rel: 'noopener' });
	const button = el('button', { type: 'button', class: 'copy', title: 'Copy the URL', 'aria-label': `Copy the URL of ${service.id}` }, 'copy');
	const worktree = el('bdi'), server = el('bdi'), since = el('time'), rate = el('span'), cpu = el('td', { class: 'cpu' });
	const requests = el('td', { class: 'requests' }, rate);
	const tr = el('tr', { 'data-id': service.id },
		el('td', { class: 'state' }, badge), el('td', { class: 'name' }, name, shared),
		el('td', { class: 'url' }, link, button), el('td', { class: 'worktree' }, worktree),
		el('td', { class: 'server' }, server), requests, cpu, el('td', { class: 'since' }, since));

	button.addEventListener('click', () => copy(link.href, button));
	tr.addEventListener('click', (event) => {
		if (!event.target.closest('a, button') && !String(getSelection())) select(service.id);
	});
	return { tr, badge, name, text, shared, link, button, worktree, server, since, requests, rate, cpu, path: null, d: '' };
}

function setTitle(element, title) {
	if (element.title !== title) element.title = title;
}

// What was measured. Most rows are at rest, and have nothing written to them.
function fillLoad(row, id) {
	const { requests, cpu, rss } = loadOf(id);
	const d = requests ? sparkPath(requests.spark) : '';

	if (row.d !== d) {
		row.d = d;
		if (!row.path) {
			const { svg, path } = sparkline();

			row.path = path;
			row.requests.prepend(svg);
		}
		row.path.setAttribute('d', d);
	}
	setText(row.rate, requests?.rate ? `${requests.rate}/min` : '');
	setTitle(row.requests, requests?.last ? `last access: ${ago(requests.last)} ago` : '');
	setText(row.cpu, [cpu != null && `${Math.round(cpu * 100)} %`, rss > 0 && size(rss)].filter(Boolean).join(' · '));
}

function fillRow(row, service, isNew) {
	if (row.last === service) return;
	row.last = service;
	if (setText(row.badge, service.state)) {
		row.badge.dataset.state = service.state;
		if (!isNew) fresh(row.badge.parentElement);
	}
	row.badge.title = service.reason ?? '';
	setText(row.text, nameOf(service));
	setText(row.shared, service.share ? 'shared' : '');
	const linked = isLink(service.url);
	row.link.hidden = row.button.hidden = !linked;
	if (linked && setText(row.link, service.url)) row.link.href = service.url;
	setText(row.worktree, service.worktree);
	setText(row.server, service.command ?? '');
	row.since.dateTime = new Date(service.since * 1000).toISOString();
	row.since.title = new Date(service.since * 1000).toLocaleString();
}

// Puts `wanted` into `parent` in this order. What is moved loses the focus, so it gets it back.
function arrange(parent, wanted) {
	const stays = new Set(wanted), focused = document.activeElement;
	let at;

	for (const element of [...parent.children])
		if (!stays.has(element)) element.remove();
	at = parent.firstElementChild;
	for (const element of wanted) {
		if (element === at) at = at.nextElementSibling;
		else parent.insertBefore(element, at);
	}
	if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function body(group) {
	if (!bodies.has(group)) {
		const roll = el('span', { class: 'roll' });
		const head = el('tr', { class: 'group' }, el('th', { colspan: 8, scope: 'rowgroup' }, el('bdi', {}, group), roll));

		bodies.set(group, { tbody: el('tbody', {}, head), head, roll });
	}
	return bodies.get(group);
}

function countStates(list) {
	const counts = Object.fromEntries(states.map((state) => [state, 0]));

	for (const service of list) counts[service.state]++;
	return counts;
}

function rolled(list) {
	return Object.entries(countStates(list)).filter(([, n]) => n).map(([state, n]) => `${n} ${state}`).join(', ');
}

export function tick() {
	for (const row of rows.values()) setText(row.since, ago(row.last.since));
}

// What changes only cells is written to these alone; all else moves rows.
let drawn = '', measured = null;

function patch() {
	const groups = new Set();

	for (const id of mesh.dirty) {
		const row = rows.get(id);

		if (!row) continue;
		fillRow(row, mesh.services.get(id), false);
		setText(row.since, ago(row.last.since));
		groups.add(groupOf(row.last));
	}
	for (const group of groups)
		if (bodies.has(group)) setText(bodies.get(group).roll, rolled([...mesh.services.values()].filter((s) => groupOf(s) === group)));
	mesh.dirty.clear();
}

export function draw() {
	const steady = !view.q && !view.states.size && ['name', 'url', 'worktree'].includes(view.sort);
	const key = `${mesh.shape} ${hash()}`;

	if (steady && key === drawn) patch();
	else arrangeAll();
	drawn = key;
	if (measured === mesh.load) return;
	measured = mesh.load;
	for (const [id, row] of rows) fillLoad(row, id);
}

function arrangeAll() {
	const groups = grouped(view);
	const table = $('table');

	mesh.dirty.clear();
	for (const id of rows.keys())
		if (!mesh.services.has(id)) rows.delete(id);
	const wanted = groups.map(([group, list]) => {
		const b = body(group);

		setText(b.roll, rolled(list));
		arrange(b.tbody, [b.head, ...list.map((service) => {
			const isNew = !rows.has(service.id);

			if (isNew) {
				rows.set(service.id, makeRow(service));
				measured = null;
			}
			const row = rows.get(service.id);
			fillRow(row, service, isNew);
			if (view.sel === service.id) row.tr.setAttribute('aria-current', 'true');
			else row.tr.removeAttribute('aria-current');
			row.name.setAttribute('aria-expanded', view.sel === service.id);
			return row.tr;
		})]);
		return b.tbody;
	});
	arrange(table, [table.caption, table.tHead, ...wanted]);
	for (const group of bodies.keys())
		if (!bodies.get(group).tbody.isConnected) bodies.delete(group);
	table.hidden = groups.length === 0;
	drawEmpty(groups.length === 0);
	drawHeads();
	tick();
}

function drawEmpty(empty) {
	const box = $('empty');

	// its own service alone is nothing of the user's
	const none = [...mesh.services.keys()].every((id) => id === mesh.node.id);
	const what = none ? 'none' : empty ? 'filtered' : '';

	box.hidden = !what;
	once(box, what, () => (!what ? [] : !none
		? ['Nothing fits the filter. ', el('button', { type: 'button', on: { click: () => go({ q: '', states: new Set() }) } }, 'Show all')]
		: ['No worktree has a URL yet. In one, run', el('code', {}, 'devmesh run -- npm run dev'), 'and it is here as soon as it answers.']));
}

function drawHeads() {
	for (const th of $('table').tHead.querySelectorAll('th')) {
		const sort = th.dataset.sort;

		if (!th.querySelector('button')) {
			const label = th.textContent;

			th.replaceChildren(el('button', { type: 'button', on: { click: () =>
				go({ sort, down: view.sort === sort && !view.down }) } }, label));
		}
		if (view.sort === sort) th.setAttribute('aria-sort', view.down ? 'descending' : 'ascending');
		else th.removeAttribute('aria-sort');
	}
}

// The chips: every state that there is, with how many there are.
export function drawStates() {
	const counts = Object.entries(countStates(mesh.services.values())).filter(([state, n]) => n || view.states.has(state));
	const box = $('states');
	const old = new Map([...box.children].map((button) => [button.dataset.state, button]));

	arrange(box, counts.map(([state, n]) => {
		const button = old.get(state) ?? el('button', { type: 'button', 'data-state': state, on: { click: () => {
			const chosen = new Set(view.states);

			if (!chosen.delete(state)) chosen.add(state);
			go({ states: chosen });
		} } });

		setText(button, `${state} ${n}`);
		button.setAttribute('aria-pressed', view.states.has(state));
		return button;
	}));
}

// The button of a row, for the keyboard: the next or the one before, from the one that has the focus.
export function step(by) {
	const buttons = [...$('table').querySelectorAll('.open-detail')];
	const row = document.activeElement?.closest?.('tr[data-id]') ?? (view.sel && rows.get(view.sel)?.tr);
	const at = row ? buttons.indexOf(row.querySelector('.open-detail')) : -1;

	buttons[at < 0 ? 0 : Math.min(buttons.length - 1, Math.max(0, at + by))]?.focus();
}

export function current() {
	const row = document.activeElement?.closest?.('tr[data-id]');

	return mesh.services.get(row?.dataset.id ?? view.sel);
}

export const focusRow = (id) => rows.get(id)?.name.focus();
