// SPDX-License-Identifier: MIT
// Making elements. Text is only ever text: nothing here, or anywhere, parses HTML.
export const $ = (id) => document.getElementById(id);

// el('a', {href, class, on: {click}}, 'text', element, ...); null and false are left out.
export function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);

	for (const [key, value] of Object.entries(attributes)) {
		if (key === 'on')
			for (const [type, handler] of Object.entries(value)) element.addEventListener(type, handler);
		else if (value !== null && value !== false && value !== undefined)
			element.setAttribute(key, value === true ? '' : value);
	}
	element.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
	return element;
}

export const isLink = (url) => /^https?:\/\//.test(url ?? '');

// Only what differs is touched: neither focus nor selection is lost.
export function setText(element, text) {
	if (element.textContent === text) return false;
	element.textContent = text;
	return true;
}

// Made anew only when what it shows has changed; who has the focus in it keeps it, by its text.
export function once(element, key, make) {
	if (element.dataset.key === key) return;
	const focused = element.contains(document.activeElement) ? document.activeElement.textContent : null;

	element.dataset.key = key;
	element.replaceChildren(...make());
	if (focused !== null)
		[...element.querySelectorAll('button, a, [tabindex]')].find((one) => one.textContent === focused)?.focus();
}

// A tint that fades: that something has changed. Not where much does, which would only flicker.
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let tinted = [];

export function fresh(element) {
	const now = performance.now();

	tinted = tinted.filter((then) => now - then < 1000);
	tinted.push(now);
	if (calm.matches || tinted.length > 4) return;
	element.animate([{ backgroundColor: 'var(--tint)' }, {}], 600);
}

// Tells those who do not see the page, at most every 5 seconds.
let next = 0, pending = null, timer = 0;
export function say(text) {
	pending = text;
	if (timer) return;
	timer = setTimeout(() => {
		$('said').textContent = pending;
		next = Date.now() + 5000;
		timer = 0;
	}, Math.max(0, next - Date.now()));
}

export async function copy(text, button) {
	const before = button?.textContent;

	try {
		await navigator.clipboard.writeText(text);
		say(`copied ${text}`);
	} catch {
		prompt('Copy this:', text);
		return;
	}
	if (!button || before === 'copied') return;
	button.textContent = 'copied';
	setTimeout(() => { button.textContent = before; }, 1200);
}
