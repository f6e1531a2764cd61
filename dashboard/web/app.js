// SPDX-License-Identifier: MIT
// Puts the parts together: the stream of events, what is drawn and when.
import { readSession, takeMark } from './act.js';
import * as detail from './detail.js';
import { $, kept, say } from './dom.js';
import * as keys from './keys.js';
import * as lists from './lists.js';
import { apply, hello, kinds, mesh } from './model.js';
import * as table from './table.js';
import { go, onChange, read, view, views } from './view.js';

let ready = false, paused = false, asked = false, lost = 0, drawnView = null, drawnAt = 0;

function drawView() {
	for (const name of views) {
		$(name).hidden = view.view !== name;
		const link = document.querySelector(`nav a[data-view="${name}"]`);

		if (view.view === name) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	if ($('filter').value !== view.q && document.activeElement !== $('filter')) $('filter').value = view.q;
	if (drawnView !== 'doctor' && view.view === 'doctor') lists.runDoctor();
	if (drawnView !== 'settings' && view.view === 'settings') lists.readSettings();
	drawnView = view.view;
}

let graph = null; // loaded when it is looked at

function drawGraph() {
	if (graph) graph.draw();
	else import('./graph.js').then((module) => {
		graph = module;
		drawSoon();
	}, (error) => { $('picture').textContent = `${error.message}. Load the page again.`; });
}

function draw() {
	asked = false;
	drawnAt = performance.now();
	if (!ready) return;
	drawView();
	lists.drawSummary();
	if (view.view === 'services') {
		table.drawStates();
		table.draw();
		lists.drawFound();
	} else if (view.view === 'worktrees') lists.drawWorktrees();
	else if (view.view === 'graph') drawGraph();
	else if (view.view === 'events') lists.drawEvents();
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
	button.textContent = !ok ? 'not connected' : paused ? 'paused' : 'live';
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
		if (!paused) drawSoon();
		readSession().then(drawSoon);
	});
	stream.addEventListener('load', (event) => {
		mesh.load = JSON.parse(event.data);
		if (!paused) drawSoon();
	});
	for (const kind of kinds)
		stream.addEventListener(kind, (event) => {
			const data = JSON.parse(event.data);

			apply(kind, data);
			if (kind === 'service' && data.was !== data.state) say(`${data.id} is ${data.state}`);
			if (document.hidden) lists.drawSummary(); // the title
			if (!paused) drawSoon();
		});
}

function pause() {
	paused = !paused;
	$('live').setAttribute('aria-pressed', String(!paused));
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
$('doctor-run').addEventListener('click', lists.runDoctor);
keys.begin({ pause, theme, closePane: detail.closePane });
drawView();
// ages
setInterval(() => {
	if (document.hidden || paused) return;
	if (ready && view.view === 'services') table.tick();
	drawSoon();
}, 10000);
document.querySelector('.skip').addEventListener('click', (event) => {
	event.preventDefault();
	$('main').focus();
});
listen();
