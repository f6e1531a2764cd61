// SPDX-License-Identifier: MIT
// The home view without its table: the summary, and the servers that were found.
import { actionButton, post, session } from './act.js';
import { $, el, once, row, setText, word } from './dom.js';
import { bad, foundKey, mesh } from './model.js';

export function drawFound() {
	const list = [...mesh.found.values()].sort((a, b) => a.pid - b.pid);

	$('found').hidden = $('found-title').hidden = !list.length;
	once($('found').tBodies[0], `${mesh.finds} ${session.may_change}`, () => list.map((f) =>
		row(f.command ?? `pid ${f.pid}`, f.port ? `port ${f.port}` : f.socket, el('div', {}, el('bdi', { class: 'mono' }, f.cwd ?? ''),
			session.may_change && f.port && f.worktree ? el('div', { class: 'actions' },
				actionButton(`publish ${foundKey(f)}`, 'Give it a URL', () => post('/api/v1/publish', { pid: f.pid, port: f.port }))) : null,
			!session.may_change && f.port && f.worktree ? el('div', {}, el('code', {}, `devmesh up -C ${word(f.cwd)} --port ${f.port}`)) : null))));
}

export function drawSummary() {
	const list = [...mesh.services.values()];
	const up = list.filter((s) => s.state === 'up').length;

	setText($('domain'), mesh.node.domain ?? '');
	setText($('summary'), `${up} of ${list.length} services up · Caddy ${mesh.caddy.state ?? 'unknown'}${mesh.caddy.problem ? `: ${mesh.caddy.problem}` : ''}`);
	const wrong = list.filter((s) => bad.includes(s.state)).length;
	const title = `${wrong ? `(${wrong}) ` : ''}devmesh · ${mesh.node.domain}`;
	if (document.title !== title) document.title = title;
}
