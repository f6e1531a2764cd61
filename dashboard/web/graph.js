// SPDX-License-Identifier: MIT
// What leads where: Caddy, services, worktrees. The table of services is the same as text.
import { $, once } from './dom.js';
import { groupOf, grouped, mesh, nameOf } from './model.js';
import { go } from './view.js';

const NS = 'http://www.w3.org/2000/svg';
const ROW = 34, TOP = 20, CADDY = 10, SERVICE = 190, WORKTREE = 590, WIDTH = 980, HEIGHT = 26;

function svg(name, attributes, ...children) {
	const element = document.createElementNS(NS, name);

	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	element.append(...children);
	return element;
}

const shorten = (text, max) => (text.length <= max ? text : `…${text.slice(1 - max)}`);

// A box with a text; with `press` a button.
function box(x, y, width, text, state, title, press, key) {
	const g = svg('g', { class: `node${press ? ' press' : ''}`, 'data-state': state },
		svg('title', {}, title), svg('rect', { x, y: y - HEIGHT / 2, width, height: HEIGHT, rx: 6 }),
		svg('text', { x: x + 9, y: y + 5 }, shorten(text, Math.floor((width - 12) / 7.6))));

	if (press) {
		g.setAttribute('role', 'button');
		g.setAttribute('tabindex', '0');
		g.setAttribute('aria-label', title);
		g.setAttribute('data-key', key);
		g.addEventListener('click', press);
		g.addEventListener('keydown', (event) => {
			if (event.key !== 'Enter' && event.key !== ' ') return;
			event.preventDefault();
			press();
		});
	}
	return g;
}

function curve(x1, y1, x2, y2, kind) {
	const middle = (x1 + x2) / 2;

	return svg('path', { class: `edge ${kind}`, d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
}

function picture(groups) {
	const services = groups.flatMap(([, list]) => list);
	const places = new Map(); // worktree: y
	const edges = [], nodes = [];
	let y = TOP;

	for (const [group, list] of groups) {
		nodes.push(svg('text', { class: 'title', x: SERVICE, y: y + 5 }, group));
		y += ROW;
		for (const service of list) {
			const key = service.worktree;

			nodes.push(box(SERVICE, y, 320, nameOf(service), service.state, `${service.id}: ${service.state}, ${service.url ?? 'no URL'}`,
				() => go({ view: 'services', sel: service.id }, true), service.id));
			if (!places.has(key)) {
				places.set(key, y);
				nodes.push(box(WORKTREE, y, WIDTH - WORKTREE - 10, key, '', key));
			}
			edges.push(curve(SERVICE + 320, y, WORKTREE, places.get(key), service.state === 'foreign' ? 'wrong' : ''));
			y += ROW;
		}
	}
	const middle = Math.min(y / 2, 300);
	y = TOP;
	for (const [, list] of groups) {
		y += ROW;
		for (const service of list) {
			if (service.route_ok) edges.push(curve(CADDY + 110, middle, SERVICE, y, service.registration));
			y += ROW;
		}
	}
	nodes.push(box(CADDY, middle, 110, `Caddy: ${mesh.caddy.state}`, mesh.caddy.state === 'up' ? 'up' : 'down', `Caddy is ${mesh.caddy.state}, at ${mesh.caddy.admin}`));
	return svg('svg', { viewBox: `0 0 ${WIDTH} ${Math.max(y, TOP + ROW)}`, role: 'group', 'aria-label': `Caddy leads to ${services.length} services` }, ...edges, ...nodes);
}

export function draw() {
	const groups = grouped({ q: '', states: new Set(), sort: 'name', down: false });
	const key = JSON.stringify([mesh.caddy.state, groups.map(([group, list]) => [group, list.map((s) =>
		[s.id, s.state, s.branch, s.app, s.worktree, s.url, s.registration, s.route_ok, groupOf(s)])])]);

	once($('picture'), key, () => [picture(groups)]);
}
