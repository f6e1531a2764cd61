// SPDX-License-Identifier: MIT
// Asking devmeshd. Changes are for who is logged in: `devmesh open`.
import { $, el, kept } from './dom.js';

export const session = { may_change: false };

export class Refused extends Error {
	constructor(error, status) {
		super(error?.message ?? `devmeshd answered with status ${status}`);
		this.hint = error?.hint;
		this.status = status;
	}
}

// The address after a login carries its mark, which is kept for this origin alone and sent along.
export function takeMark() {
	const mark = /^#login=([0-9a-f]+)$/.exec(location.hash)?.[1];

	if (!mark) return;
	kept.set('login', mark);
	history.replaceState(null, '', location.pathname);
}

async function ask(path, options = {}) {
	const headers = { 'X-Devmesh': kept.get('login') ?? 'page', ...options.headers };
	const response = await fetch(path, { cache: 'no-store', ...options, headers });
	const body = await response.json().catch(() => null);

	if (!response.ok || !body) throw new Refused(body?.error, response.status);
	return body;
}

export const get = (path, options) => ask(path, options);

export const post = (path, body = {}) => ask(path, {
	method: 'POST',
	headers: { 'Content-Type': 'application/json' },
	body: JSON.stringify(body),
});

export async function readSession() {
	try {
		session.may_change = (await get('/api/v1/session')).may_change;
	} catch { /* it restarts, say: nothing is known of the login */ }
}

export function notice(...parts) {
	const box = $('notice');

	box.replaceChildren(...parts, ' ', el('button', { type: 'button', on: { click: () => { box.hidden = true; } } }, 'Close'));
	box.hidden = false;
}

// A button whose work is told of while it is done, and when it fails.
const busy = new Set(); // keys: a button may be made anew meanwhile

export function actionButton(key, label, work, attributes = {}) {
	const button = el('button', { type: 'button', 'data-key': key, 'aria-disabled': busy.has(key) && 'true', ...attributes }, label);

	button.addEventListener('click', async () => {
		if (busy.has(key)) return;
		busy.add(key);
		button.setAttribute('aria-disabled', 'true'); // "disabled" would take the focus
		try {
			await work();
		} catch (error) {
			notice(`${label}: ${error.message}${error.hint ? `. Try: ${error.hint}` : ''}`);
		} finally {
			busy.delete(key);
			button.removeAttribute('aria-disabled');
		}
	});
	return button;
}

export const loginHint = () => location.protocol === 'https:' && el('p', { class: 'lead' }, 'To change something from here, run ', el('code', {}, 'devmesh open'), ' in a terminal.');
