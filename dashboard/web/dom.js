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

// A row of a table; texts may run from right to left, and stay in their cells.
export const row = (...cells) => el('tr', {}, ...cells.map((cell) =>
	el('td', {}, typeof cell === 'string' ? el('bdi', {}, cell) : cell)));

// A line of the numbers, in a box of its own: `path` gets sparkPath() as its "d".
export function sparkline() {
	const make = (name) => document.createElementNS('http://www.w3.org/2000/svg', name);
	const svg = make('svg'), path = make('path');

	svg.setAttribute('viewBox', '0 0 59 16');
	svg.setAttribute('preserveAspectRatio', 'none');
	svg.setAttribute('class', 'spark');
	svg.setAttribute('aria-hidden', 'true');
	svg.append(path);
	return { svg, path };
}

export function sparkPath(points) {
	const most = Math.max(...points);

	return most ? points.map((n, x) => `${x ? 'L' : 'M'}${x} ${(15 - 14 * n / most).toFixed(1)}`).join('') : '';
}

// What is kept between visits; a browser may refuse to keep anything.
export const kept = {
	get(name) {
		try {
			return localStorage.getItem(name);
		} catch {
			return null;
		}
	},
	set(name, value) {
		try {
			localStorage.setItem(name, value);
		} catch { /* then not */ }
	},
};

// As one word of a shell's command line.
export const word = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export const isLink = (url) => /^https?:\/\//.test(url ?? '');

// Only what differs is touched: neither focus nor selection is lost.
export function setText(element, text) {
	if (element.textContent === text) return false;
	element.textContent = text;
	return true;
}

// What a button or link is, whatever is made anew around it.
const keyOf = (element) => element.dataset.key ?? element.getAttribute('aria-label') ?? element.textContent;

// Replaces the children; what has the focus among them keeps it, or `otherwise` gets it.
export function renew(element, children, otherwise) {
	const key = element.contains(document.activeElement) ? keyOf(document.activeElement) : null;

	element.replaceChildren(...children);
	if (key !== null)
		([...element.querySelectorAll('button, a, [tabindex]')].find((one) => keyOf(one) === key) ?? otherwise)?.focus({ preventScroll: true });
}

// The same, only when what it shows has changed.
const shown = new WeakMap();

export function once(element, what, make) {
	if (shown.get(element) === what) return;
	shown.set(element, what);
	renew(element, make());
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
