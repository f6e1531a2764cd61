// SPDX-License-Identifier: MIT
// Asking devmeshd. Changes are for who is logged in: `devmesh open`.
import { $, el } from './dom.js';

export const session = { may_change: false };

export class Refused extends Error {
	constructor(error, status) {
		super(error?.message ?? `devmeshd answered with status ${status}`);
		this.hint = error?.hint;
	}
}

async function ask(path, options) {
	const response = await fetch(path, { cache: 'no-store', ...options });
	const body = await response.json().catch(() => null);

	if (!response.ok || !body) throw new Refused(body?.error, response.status);
	return body;
}

export const get = (path) => ask(path);

export const post = (path, body = {}) => ask(path, {
	method: 'POST',
	headers: { 'Content-Type': 'application/json', 'X-Devmesh': 'page' },
	body: JSON.stringify(body),
});

export async function readSession() {
	try {
		session.may_change = (await get('/api/v1/session')).may_change;
	} catch {
		session.may_change = false;
	}
}

export function notice(...parts) {
	const box = $('notice');

	box.replaceChildren(...parts, ' ', el('button', { type: 'button', on: { click: () => { box.hidden = true; } } }, 'Close'));
	box.hidden = false;
}

// A button whose work is told of while it is done, and when it fails.
export function actionButton(label, work, attributes = {}) {
	const button = el('button', { type: 'button', ...attributes }, label);

	button.addEventListener('click', async () => {
		button.disabled = true;
		try {
			await work();
		} catch (error) {
			notice(`${label}: ${error.message}${error.hint ? `. Try: ${error.hint}` : ''}`);
		} finally {
			button.disabled = false;
		}
	});
	return button;
}

export const loginHint = () => el('p', { class: 'lead' }, 'To change something from here, run ', el('code', {}, 'devmesh open'), ' in a terminal.');
