// SPDX-License-Identifier: MIT
// The pane of one service.
import { actionButton, loginHint, post, session } from './act.js';
import { $, copy, el, isLink, once, renew, word } from './dom.js';
import { ago, groupOf, mesh, nameOf, size } from './model.js';
import { focusRow } from './table.js';
import { go, tabs, view } from './view.js';

let shown = null; // what the pane shows: {id, and its elements}

function command(text) {
	const button = el('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${text}` }, 'copy');

	button.addEventListener('click', () => copy(text, button));
	return el('div', { class: 'command' }, el('code', {}, text), button);
}

function facts(pairs) {
	const list = el('dl');

	for (const [name, value] of pairs)
		if (value !== null && value !== undefined && value !== false && value !== '')
			list.append(el('dt', {}, name), el('dd', {}, typeof value === 'string' ? el('bdi', {}, value) : value));
	return list;
}

function link(url) {
	return isLink(url) ? el('a', { href: url, rel: 'noopener' }, url) : null;
}

function gitFacts(service) {
	const w = mesh.worktrees.get(service.worktree);

	if (!w) return [];
	return [
		['Commit', w.head?.slice(0, 10)],
		['Changed files', w.dirty === null ? null : w.dirty ? String(w.dirty) : 'none'],
		['To its upstream', w.ahead === null ? null : `${w.ahead} ahead, ${w.behind} behind`],
		['Last commit', w.last_commit ? `${ago(w.last_commit)} ago` : null],
		['On disk', w.bytes === null ? null : size(w.bytes)],
	];
}

// What this state means, and what to do.
function advice(service) {
	const cd = `cd ${word(service.worktree)}`;

	switch (service.state) {
	case 'starting': return service.supervised ? [] : ['Its name is claimed; nothing listens yet.', command(`${cd} && devmesh run -- npm run dev`)];
	case 'stale': return ['Its server has ended and left the socket. devmeshd removes it after a while.', command(`devmesh down ${service.id}`)];
	case 'down': return service.supervised ? [] : ['Nothing listens on its port.', command(`devmesh down ${service.id}`)];
	case 'degraded': return ['It runs, but Caddy has no route to it.', command(`${cd} && devmesh up`)];
	case 'orphan': return ['Its worktree is gone.', command('devmesh gc')];
	case 'foreign': return [`Another checkout answers here: ${service.other_worktree ?? 'of another user'}`, command(`devmesh assert ${service.id}`)];
	default: return [];
	}
}

function happened(service) {
	const list = mesh.log.filter((e) => e.id === service.id && e.kind.startsWith('service')).slice(0, 12);

	if (!list.length) return [];
	return [el('h3', {}, 'Since this page was opened'), el('ol', { class: 'log' }, ...list.map(({ time, data }) =>
		el('li', {}, el('time', {}, new Date(time * 1000).toLocaleTimeString()), data.change ?? `${data.was ?? 'new'} → ${data.state ?? 'gone'}${data.state === 'up' ? '' : ` (${data.reason})`}`)))];
}

// Starting and ending: what devmeshd runs; a run in a terminal can only be ended from here.
function running(service, path) {
	const run = service.supervised, rests = run && ['stopped', 'idle', 'failed'].includes(run.state);
	const act = (verb, label) => actionButton(`${verb} ${service.id}`, label, () => post(`${path}/${verb}`));

	if (!run) return service.runner ? [actionButton(`stop ${service.id}`, 'Stop', async () => {
		if (confirm(`End the devmesh run of ${service.id}? It runs in a terminal: only there it can be started again.`)) await post(`${path}/stop`);
	})] : [];
	return [rests ? act('start', 'Start') : act('restart', 'Restart'), !rests && act('stop', 'Stop')].filter(Boolean);
}

function supervision(service) {
	const run = service.supervised;

	return run ? [
		['Run by devmeshd', `${run.state}${run.restarts ? `, started again ${run.restarts} times` : ''}`],
		['Command', run.command], ['Problem', run.problem],
		['Starts on request', run.on_request && 'yes'],
		['Ends when idle', run.idle_stop ? `after ${run.idle_stop} s` : null],
	] : [];
}

function actions(service) {
	const url = isLink(service.url) ? service.url : null;
	const path = `/api/v1/services/${service.id}`;
	const open = url && el('a', { class: 'main', href: url, rel: 'noopener', target: '_blank' }, 'Open');
	const button = url && el('button', { type: 'button' }, 'Copy URL');

	button?.addEventListener('click', () => copy(url, button));
	return el('div', { class: 'actions' }, open, button,
		...(session.may_change && service.id !== mesh.node.id ? [
			...running(service, path),
			actionButton(`probe ${service.id}`, 'Look now', () => post(`${path}/probe`)),
			actionButton(`pin ${service.id}`, service.pinned ? 'Unpin' : 'Pin', () => post(`${path}/pin`, { pinned: !service.pinned }),
				{ title: 'A pinned service is never cleaned up' }),
			actionButton(`forget ${service.id}`, 'Forget', async () => {
				if (confirm(`Take ${service.id} down? Its name and route are given back; a devmesh run is ended.`))
					await post(`${path}/forget`);
			}),
		] : []));
}

function overview(service) {
	return [...advice(service),
		facts([
			['URL', link(service.url)], ['Also at', link(service.alias_url)],
			['Worktree', service.worktree], ['Branch', service.branch], ['Repository', groupOf(service)],
			...gitFacts(service),
			['Server', service.command && `${service.command} (pid ${service.pid})`],
			['Started by', service.runner && `devmesh run (pid ${service.runner})`],
			...supervision(service),
			['Listens on', service.port ? `port ${service.port}` : service.socket],
			['Led there by', service.registration === 'mesh' ? 'the mesh route' : 'a route of its own'],
			['Name', service.id], ['Shared with', service.share && { lan: 'this network', password: 'whoever has the password', public: 'everybody' }[service.share.reach]], ['Kept', service.pinned && 'pinned'],
		]),
		el('h3', {}, 'In a terminal'), command(`cd ${word(service.worktree)}`), command(`devmesh assert ${service.id}`),
		...happened(service)];
}

// The other tabs are asked for when they are looked at; each has draw(box, service) and leave().
const parts = {
	requests: () => import('./requests.js'),
	logs: () => import('./logs.js'),
	health: () => import('./health.js'),
	share: () => import('./share.js'),
};
let part = null; // the module that has the body: {tab, module}

function drawTabs() {
	return tabs.filter((tab) => tab === 'overview' || parts[tab]).map((tab) =>
		el('button', { type: 'button', 'aria-current': view.tab === tab && 'true', on: { click: () => go({ tab }) } }, tab));
}

function leavePart() {
	part?.module?.leave();
	part = null;
}

async function drawPart(body, service) {
	if (part?.tab === view.tab) {
		part.module?.draw(body, service);
		return;
	}
	leavePart();
	const mine = { tab: view.tab, module: null };

	part = mine;
	once(body, null, () => []);
	try {
		mine.module = await parts[mine.tab]();
	} catch (error) {
		once(body, String(error), () => [el('p', {}, `${error.message}. Load the page again.`)]);
		return;
	}
	if (part === mine) mine.module.draw(body, service);
}

function drawBody(body, service) {
	if (view.tab !== 'overview' && service) {
		drawPart(body, service);
		return;
	}
	leavePart();
	once(body, JSON.stringify([view.sel, service, service && mesh.worktrees.get(service.worktree), session.may_change,
		mesh.log.find((e) => e.id === view.sel)?.time]), () => (service
		? [...overview(service), session.may_change ? '' : loginHint() || '']
		: [el('p', { class: 'lead' }, 'There is no service of this name, or no more.')]));
}

export function draw() {
	const pane = $('detail');
	const service = mesh.services.get(view.sel);

	pane.hidden = !view.sel || view.view !== 'services';
	document.body.classList.toggle('with-detail', !pane.hidden);
	pane.dataset.tab = view.tab;
	if (pane.hidden) {
		leavePart();
		shown = null;
		return;
	}
	const isNew = shown?.id !== view.sel;
	const top = pane.scrollTop;

	if (isNew) {
		leavePart();
		shown = { id: view.sel, head: el('div'), tabs: el('nav', { class: 'tabs', 'aria-label': 'Parts' }), body: el('div', { class: 'part' }),
			close: el('button', { type: 'button', class: 'close', 'aria-label': 'Close', on: { click: closePane } }, '✕') };
		renew(pane, [shown.close, shown.head, shown.tabs, shown.body], shown.close);
	}
	once(shown.head, JSON.stringify([service, service && ago(service.since), session.may_change]), () => (service
		? [el('h2', {}, el('bdi', {}, nameOf(service))),
			el('p', {}, el('span', { class: 'badge', 'data-state': service.state }, service.state), ` for ${ago(service.since)}${service.state === 'up' ? '' : ` (${service.reason})`}`),
			actions(service)]
		: [el('h2', {}, view.sel)]));
	once(shown.tabs, view.tab, drawTabs);
	drawBody(shown.body, service);
	pane.scrollTop = isNew ? 0 : top;
	if (isNew && !pane.contains(document.activeElement) && matchMedia('(max-width: 1199px)').matches) shown.close.focus();
}

export function closePane() {
	const id = view.sel;

	go({ sel: null });
	focusRow(id);
}
