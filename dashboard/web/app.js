// SPDX-License-Identifier: MIT
// Puts the parts together: the stream of events, what is drawn and when.
import { notice, readSession, takeMark } from './act.js';
import * as detail from './detail.js';
import { $, kept, say } from './dom.js';
import * as home from './home.js';
import * as keys from './keys.js';
import { apply, hello, kinds, live, mesh } from './model.js';
import * as table from './table.js';
import { go, onChange, read, view, views } from './view.js';

let ready = false, asked = false, lost = 0, drawnAt = 0;

// All views but the home are loaded when they are looked at. Each has draw(name) and, if it likes,
// enter(name) and leave().
const lists = () => import('./lists.js');
const modules = {
	worktrees: lists, doctor: lists, events: lists, settings: lists,
	graph: () => import('./graph.js'),
	logs: () => import('./output.js'),
	system: () => import('./system.js'),
};
let shown = { name: 'services', module: null }; // the view that is drawn

async function drawOther(name) {
	if (shown.name !== name) {
		const mine = { name, module: null };

		shown.module?.leave?.();
		shown = mine;
		try {
			mine.module = await modules[name]?.();
		} catch (error) {
			notice(`${error.message}. Load the page again.`);
		}
		if (shown !== mine) return;
		mine.module?.enter?.(name);
	}
	shown.module?.draw(name);
}

function drawView() {
	for (const name of views) {
		$(name).hidden = view.view !== name;
		const link = document.querySelector(`nav a[data-view="${name}"]`);

		if (view.view === name && !link.hasAttribute('aria-current')) {
			link.setAttribute('aria-current', 'page');
			link.scrollIntoView({ inline: 'nearest', block: 'nearest' }); // on a phone not all fit
		}
		if (view.view !== name) link.removeAttribute('aria-current');
	}
	if ($('filter').value !== view.q && document.activeElement !== $('filter')) $('filter').value = view.q;
}

function draw() {
	asked = false;
	drawnAt = performance.now();
	if (!ready) return;
	drawView();
	home.drawSummary();
	drawOther(view.view);
	if (view.view === 'services') {
		table.drawStates();
		table.draw();
		home.drawFound();
	}
	detail.draw();
}

// At once, but however much happens, no more often than this; and not at all while nobody can see
// it. While it is paused only what the user does is drawn, and that with what is known by then.
const DRAW_MS = 90;

function drawSoon() {
	if (asked) return;
	asked = true;
	setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawnAt + DRAW_MS - performance.now()));
}

// ---- the stream ----

function connected(ok) {
	const button = $('live');

	lost = ok ? 0 : lost || Date.now();
	if (ok) delete button.dataset.lost;
	else button.dataset.lost = '';
	button.textContent = !ok ? 'not connected' : live.paused ? 'paused' : 'live';
}

function listen() {
	const stream = new EventSource('/api/v1/events');

	stream.addEventListener('open', () => connected(true));
	stream.addEventListener('error', () => {
		connected(false);
		// a browser gives up for good when it is answered with an error, by Caddy for instance
		if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
	});
	stream.addEventListener('hello', (event) => {
		hello(JSON.parse(event.data));
		ready = true;
		if (!live.paused) drawSoon();
		readSession().then(drawSoon);
	});
	stream.addEventListener('load', (event) => {
		mesh.load = JSON.parse(event.data);
		if (!live.paused) drawSoon();
	});
	for (const kind of kinds)
		stream.addEventListener(kind, (event) => {
			const data = JSON.parse(event.data);

			apply(kind, data);
			if (kind === 'service' && data.was !== data.state) say(`${data.id} is ${data.state}`);
			if (document.hidden) home.drawSummary(); // the title
			if (!live.paused) drawSoon();
		});
}

function pause() {
	live.paused = !live.paused;
	$('live').setAttribute('aria-pressed', String(!live.paused));
	connected(!lost);
	drawSoon();
}

// ---- light and dark ----

const themes = ['system', 'light', 'dark'];

function setTheme(theme) {
	if (theme === 'system') delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme;
	$('theme').textContent = `theme: ${theme}`;
	kept.set('theme', theme);
}

const theme = () => setTheme(themes[(themes.indexOf(kept.get('theme') ?? 'system') + 1) % themes.length]);

takeMark();
read();
onChange(drawSoon);
setTheme(themes.includes(kept.get('theme')) ? kept.get('theme') : 'system');
for (const element of document.querySelectorAll('.js')) element.hidden = false;
for (const link of document.querySelectorAll('nav a'))
	link.addEventListener('click', (event) => {
		if (event.ctrlKey || event.metaKey || event.shiftKey) return;
		event.preventDefault();
		go({ view: link.dataset.view }, true);
	});
$('filter').value = view.q;
$('filter').addEventListener('input', () => go({ q: $('filter').value }));
$('live').addEventListener('click', pause);
$('theme').addEventListener('click', theme);
keys.begin({ pause, theme, closePane: detail.closePane });
drawView();
// ages
setInterval(() => {
	if (document.hidden || live.paused) return;
	if (ready && view.view === 'services') table.tick();
	drawSoon();
}, 10000);
// a login may have ended, or another tab has logged in
document.addEventListener('visibilitychange', () => {
	if (!document.hidden && ready) readSession().then(drawSoon);
});
document.querySelector('.skip').addEventListener('click', (event) => {
	event.preventDefault();
	$('main').focus();
});
listen();
