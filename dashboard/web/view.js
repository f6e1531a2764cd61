// SPDX-License-Identifier: MIT
// What is looked at: kept in the address, so that it can be sent, kept and gone back to.
import { sortable, states } from './model.js';

export const view = { view: 'services', q: '', states: new Set(), sort: 'name', down: false, sel: null, tab: 'overview' };

// Of the pane of one service.
export const tabs = ['overview', 'requests', 'logs', 'health', 'share'];

export const views = ['services', 'worktrees', 'graph', 'logs', 'doctor', 'events', 'system', 'settings'];

export function read() {
	const p = new URLSearchParams(location.hash.slice(1));

	view.view = views.includes(p.get('view')) ? p.get('view') : 'services';
	view.q = p.get('q') ?? '';
	view.states = new Set((p.get('state') ?? '').split(',').filter((state) => states.includes(state)));
	view.sort = (p.get('sort') ?? '').replace(/^-/, '');
	if (!sortable.includes(view.sort)) view.sort = 'name';
	view.down = (p.get('sort') ?? '').startsWith('-');
	view.sel = p.get('sel');
	view.tab = tabs.includes(p.get('tab')) ? p.get('tab') : 'overview';
}

export function hash(changes = {}) {
	const v = { ...view, ...changes };
	const p = new URLSearchParams();

	if (v.view !== 'services') p.set('view', v.view);
	if (v.q) p.set('q', v.q);
	if (v.states.size) p.set('state', [...v.states].join(','));
	if (v.sort !== 'name' || v.down) p.set('sort', (v.down ? '-' : '') + v.sort);
	if (v.sel) p.set('sel', v.sel);
	if (v.sel && v.tab !== 'overview') p.set('tab', v.tab);
	return `#${p}`;
}

let changed = () => {};
export const onChange = (callback) => { changed = callback; };

// `push` makes a step that Back undoes.
export function go(changes, push = false) {
	const to = hash(changes);

	if (to !== (location.hash || '#')) history[push ? 'pushState' : 'replaceState'](null, '', to === '#' ? location.pathname : to);
	read();
	changed();
}

addEventListener('popstate', () => { read(); changed(); });
