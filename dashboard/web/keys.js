// SPDX-License-Identifier: MIT
// The keyboard: shortcuts, their list, and the palette of everything.
import { $, copy, el, isLink, kept } from './dom.js';
import { groupOf, mesh, nameOf } from './model.js';
import { current, step } from './table.js';
import { go, view } from './view.js';

let does = {}; // pause, theme, closePane: given by app.js

const withUrl = (f) => () => {
	const service = current();

	if (isLink(service?.url)) f(service.url);
};

const keys = [
	['/', 'filter', () => $('filter').focus()],
	['j', 'next service', () => step(1)],
	['k', 'service before', () => step(-1)],
	['Enter', 'show or hide its details', null],
	['o', 'open it', withUrl((url) => open(url, '_blank', 'noopener'))],
	['c', 'copy its URL', withUrl((url) => copy(url))],
	['l', 'what it writes', () => { const s = current(); if (s) go({ view: 'services', sel: s.id, tab: 'logs' }, true); }],
	['s', 'services', () => go({ view: 'services' }, true)],
	['w', 'worktrees', () => go({ view: 'worktrees' }, true)],
	['g', 'graph', () => go({ view: 'graph' }, true)],
	['a', 'what all write', () => go({ view: 'logs' }, true)],
	['d', 'doctor', () => go({ view: 'doctor' }, true)],
	['e', 'events', () => go({ view: 'events' }, true)],
	['y', 'system', () => go({ view: 'system' }, true)],
	['p', 'pause and go on', () => does.pause()],
	['t', 'theme', () => does.theme()],
	['?', 'this list', help],
	['Ctrl K', 'search services and actions', null],
	['Esc', 'back', null],
];

const single = () => kept.get('single-keys') !== 'off';

function help() {
	$('help-keys').replaceChildren(...keys.flatMap(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)]));
	$('single-keys').checked = single();
	$('help').showModal();
}

function onKey(event) {
	const typing = event.target.closest?.('input, textarea, select, dialog');

	if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'k') {
		event.preventDefault();
		if (!$('palette').open) openPalette();
		return;
	}
	if (event.key === 'Escape' && !$('palette').open && !$('help').open) {
		if (event.target === $('filter')) {
			go({ q: '' });
			$('filter').blur();
		} else if (view.sel) does.closePane();
		return;
	}
	if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
	const name = { ArrowDown: 'j', ArrowUp: 'k' }[event.key] && event.target.closest?.('#table') ? { ArrowDown: 'j', ArrowUp: 'k' }[event.key] : event.key;
	const [, , action] = keys.find(([key]) => key === name) ?? [];

	if (!action || (!single() && name.length === 1 && event.key.length === 1)) return;
	event.preventDefault();
	action();
}

// ---- the palette ----

let matches = [], at = 0;

function candidates() {
	const services = [...mesh.services.values()].map((s) => ({
		text: `${groupOf(s)} ${nameOf(s)}`, note: `${s.state} ${s.worktree}`, run: () => go({ view: 'services', sel: s.id }, true) }));

	return [...services,
		...[...mesh.services.values()].filter((s) => isLink(s.url)).map((s) => ({ text: `open ${s.id}`, note: s.url, run: () => open(s.url, '_blank', 'noopener') })),
		...[...mesh.services.values()].filter((s) => isLink(s.url)).map((s) => ({ text: `copy URL of ${s.id}`, note: s.url, run: () => copy(s.url) })),
		...keys.filter(([, , action]) => action && action !== help).slice(5).map(([, what, action]) => ({ text: what, note: '', run: action }))];
}

function find() {
	const words = $('palette-input').value.toLowerCase().split(/\s+/).filter(Boolean);

	matches = candidates().filter((c) => words.every((word) => `${c.text} ${c.note}`.toLowerCase().includes(word))).slice(0, 30);
	at = 0;
	show();
}

function show() {
	$('palette-list').replaceChildren(...matches.map((c, i) => el('li', { role: 'option', id: `match-${i}`, 'aria-selected': String(i === at), on: { click: () => choose(i) } },
		el('bdi', {}, c.text), ' ', el('small', { class: 'lead' }, c.note))));
	if (matches.length) $('palette-input').setAttribute('aria-activedescendant', `match-${at}`);
	else $('palette-input').removeAttribute('aria-activedescendant');
	$(`match-${at}`)?.scrollIntoView({ block: 'nearest' });
}

function choose(i) {
	$('palette').close();
	matches[i]?.run();
}

function openPalette() {
	$('palette-input').value = '';
	$('palette').showModal();
	find();
	$('palette-input').focus();
}

export function begin(actions) {
	does = actions;
	addEventListener('keydown', onKey);
	$('palette-open').addEventListener('click', openPalette);
	$('help-open').addEventListener('click', help);
	$('palette-input').addEventListener('input', find);
	$('palette-input').addEventListener('keydown', (event) => {
		const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];

		if (event.key === 'Enter') choose(at);
		else if (by && matches.length) {
			at = (at + by + matches.length) % matches.length;
			show();
		} else return;
		event.preventDefault();
	});
	$('single-keys').addEventListener('change', (event) => kept.set('single-keys', event.target.checked ? 'on' : 'off'));
	for (const dialog of [$('palette'), $('help')])
		dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
}
