// SPDX-License-Identifier: MIT
// The views of lists: worktrees and cleaning up, doctor, events, settings.
import { actionButton, get, loginHint, post, session } from './act.js';
import { $, el, once, row } from './dom.js';
import { ago, mesh, nameOf, repoName, size } from './model.js';
import { go } from './view.js';

// Those of a worktree as the events have it: they come and go without one of the worktree's own.
const servicesOf = (w) => [...mesh.services.values()].filter((s) => s.worktree === w.path);

function worktreeRow(w) {
	const services = servicesOf(w);
	const git = [w.dirty ? `${w.dirty} changed` : null, w.ahead ? `${w.ahead} ahead` : null, w.behind ? `${w.behind} behind` : null].filter(Boolean);

	return row(repoName(w.repo), el('div', {}, el('bdi', {}, w.branch ?? w.head?.slice(0, 10) ?? ''), git.length ? el('div', { class: 'lead' }, git.join(', ')) : null,
		...services.map((s) => el('div', {}, el('button', { type: 'button', 'data-key': s.id, on: { click: () => go({ view: 'services', sel: s.id }, true) } }, `${nameOf(s)}: ${s.state}`)))),
	el('div', {}, el('bdi', { class: 'mono' }, w.path), w.gone ? el('div', { class: 'badge', 'data-state': 'orphan' }, 'gone') : null, w.bytes === null ? null : el('div', { class: 'lead' }, size(w.bytes))),
	w.last_commit ? `${ago(w.last_commit)} ago` : '');
}

let plan = null; // what a dry run would remove; null: none was made

async function look() {
	plan = (await post('/api/v1/gc', { dry_run: true })).removed;
	drawWorktrees();
}

async function clean() {
	if (!confirm(`Remove these ${plan.length}?`)) return;
	await post('/api/v1/gc', { dry_run: false });
	await look();
}

function cleanup() {
	if (!session.may_change) return [el('h3', {}, 'Clean up'), loginHint() || el('code', {}, 'devmesh gc --dry-run')];
	return [el('h3', {}, 'Clean up'), el('p', { class: 'lead' }, 'Claims, sockets and routes of what is provably gone. Nothing that is alive is touched.'),
		el('div', { class: 'actions' }, actionButton('gc', 'What would be removed?', look),
			plan?.length ? actionButton('gc now', `Remove ${plan.length}`, clean) : null),
		plan && !plan.length ? el('p', {}, 'Nothing: all is tidy.') : null,
		plan?.length ? el('ul', {}, ...plan.map((p) => el('li', {}, `${p.kind} ${p.name}: ${p.reason}`))) : null].filter(Boolean);
}

function drawWorktrees() {
	const section = $('worktrees');
	const list = [...mesh.worktrees.values()].sort((a, b) => (a.repo + a.path < b.repo + b.path ? -1 : 1));
	let box = $('cleanup');

	once(section.querySelector('tbody'), JSON.stringify(list.map((w) => [w, servicesOf(w).map((s) => [s.id, s.state, nameOf(s)]), w.last_commit && ago(w.last_commit)])), () => list.map(worktreeRow));
	if (!box) {
		box = el('div', { id: 'cleanup' });
		section.append(box);
	}
	once(box, JSON.stringify([plan, session.may_change]), cleanup);
}

const order = ['failure', 'warning', 'note', 'ok'];
const badges = { failure: 'stale', warning: 'degraded', note: 'down', ok: 'up' }; // which look like it

async function runDoctor() {
	const box = $('findings'), button = $('doctor-run');

	button.disabled = true;
	box.replaceChildren(el('p', { class: 'lead' }, 'Looking …'));
	try {
		const report = await get('/api/v1/doctor');
		const findings = report.findings.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));

		box.replaceChildren(...findings.map((f) => el('div', { class: 'finding' },
			el('span', { class: 'badge', 'data-state': badges[f.level] }, f.level), ` ${f.what}`,
			f.why ? el('p', { class: 'lead' }, f.why) : null, f.fix ? el('p', {}, el('code', {}, f.fix)) : null)));
	} catch (error) {
		box.replaceChildren(el('p', {}, `${error.message}. In a terminal: `, el('code', {}, 'devmesh doctor')));
	}
	button.disabled = false;
}

async function readSettings() {
	const box = $('settings-list');

	try {
		const { keys } = await get('/api/v1/config');
		const sections = [...new Set(keys.map((key) => key.section))];

		box.replaceChildren(...sections.flatMap((section) => [el('h3', {}, `[${section}]`), el('dl', {}, ...keys.filter((key) => key.section === section).flatMap((key) => [
			el('dt', {}, el('code', {}, key.name)),
			el('dd', {}, el('bdi', { class: 'mono' }, key.value ?? '(unset)'), ` from ${key.origin}`, el('div', { class: 'lead' }, key.help))]))]));
	} catch (error) {
		box.replaceChildren(el('p', {}, `${error.message}. In a terminal: `, el('code', {}, 'devmesh config')));
	}
}

function told({ kind, id, data }) {
	switch (kind) {
	case 'service': return data.change ? `${id}: ${data.change}` : `${id}: ${data.was ?? 'new'} → ${data.state} (${data.reason})`;
	case 'service-gone': return `${id}: gone (${data.reason})`;
	case 'mend': return `put right: ${data.what} ${data.kind ?? ''} ${id} (${data.reason})`;
	case 'caddy': return `Caddy is ${data.state} (${data.reason})`;
	case 'network': return data.address ? `this machine is at ${data.address} (${data.interface})` : data.problem;
	case 'record': return data.problem ?? `${data.name} leads to ${data.address}`;
	case 'daemon': return `devmeshd: ${data.what}`;
	default: return `${kind} ${id}`;
	}
}

function drawEvents() {
	const list = mesh.log.slice(0, 200);

	once($('log'), `${list.length} ${list[0]?.time} ${list[0]?.kind} ${list[0]?.id} ${list[0]?.data.state}`, () => (list.length
		? list.map((e) => el('li', {}, el('time', {}, new Date(e.time * 1000).toLocaleTimeString()), el('bdi', {}, told(e))))
		: [el('li', { class: 'lead' }, 'Nothing yet.')]));
}

// As app.js wants them of a view.
export function enter(view) {
	if (view === 'doctor') runDoctor();
	if (view === 'settings') readSettings();
}

export function draw(view) {
	if (view === 'worktrees') drawWorktrees();
	if (view === 'events') drawEvents();
}

$('doctor-run').addEventListener('click', runDoctor);
