// SPDX-License-Identifier: MIT
// The colours of a terminal (ECMA-48 §8.3.117), which devmeshd leaves in what services write.
import { el } from './dom.js';

const clear = () => ({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false });

// 0 to 15 are the theme's; others are what xterm has, and rgb.
function colour(codes) {
	const kind = codes.shift();

	if (kind === 2) {
		const [r, g, b] = codes.splice(0, 3).map((n) => Math.min(255, n || 0));

		return `rgb(${r ?? 0} ${g ?? 0} ${b ?? 0})`;
	}
	if (kind !== 5) return null;
	const n = codes.shift() ?? 0;

	if (n < 16) return n;
	if (n > 231) return `rgb(${Array(3).fill(8 + (Math.min(n, 255) - 232) * 10).join(' ')})`;
	return `rgb(${[Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map((c) => (c ? c * 40 + 55 : 0)).join(' ')})`;
}

function apply(style, text) {
	// with colons there may be the number of a colour space before the three
	const codes = text.replace(/8:2:\d*:(\d+:\d+:\d+)/g, '8:2:$1').split(/[;:]/).map(Number);

	while (codes.length) {
		const code = codes.shift();

		if (code === 0) style = clear();
		else if (code === 1) style.bold = true;
		else if (code === 2) style.dim = true;
		else if (code === 3) style.italic = true;
		else if (code === 4) style.underline = true;
		else if (code === 22) style.bold = style.dim = false;
		else if (code === 23) style.italic = false;
		else if (code === 24) style.underline = false;
		else if (code >= 30 && code <= 37) style.fg = code - 30;
		else if (code === 38) style.fg = colour(codes);
		else if (code === 39) style.fg = null;
		else if (code >= 40 && code <= 47) style.bg = code - 40;
		else if (code === 48) style.bg = colour(codes);
		else if (code === 49) style.bg = null;
		else if (code >= 90 && code <= 97) style.fg = code - 82;
		else if (code >= 100 && code <= 107) style.bg = code - 92;
	}
	return style;
}

function piece(text, style) {
	const names = ['bold', 'dim', 'italic', 'underline'].filter((name) => style[name]);

	if (typeof style.fg === 'number') names.push(`fg${style.fg}`);
	if (typeof style.bg === 'number') names.push(`bg${style.bg}`);
	if (!names.length && style.fg === null && style.bg === null) return text;
	const span = el('span', { class: names.join(' ') }, text);

	// set by the object model, which the page's policy allows; never by parsing
	if (typeof style.fg === 'string') span.style.color = `color-mix(in oklab, ${style.fg}, var(--text) 30%)`;
	if (typeof style.bg === 'string') span.style.background = style.bg;
	return span;
}

const SGR = /\x1b\[([0-9;:]*)m/g; // eslint-disable-line no-control-regex

export const plain = (text) => text.replace(SGR, '');

export function coloured(text) {
	const parts = [];
	let style = clear(), from = 0;

	for (const match of text.matchAll(SGR)) {
		if (match.index > from) parts.push(piece(text.slice(from, match.index), style));
		style = apply({ ...style }, match[1] || '0');
		from = match.index + match[0].length;
	}
	if (from < text.length) parts.push(piece(text.slice(from), style));
	return parts;
}
