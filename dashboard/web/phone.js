// SPDX-License-Identifier: MIT
// What this phone still lacks, found out by trying: a name of the domain over plain HTTP is answered
// here only if DNS leads here, one over HTTPS only if the certificate is trusted as well. Without
// this script the page shows every step.
'use strict';

const $ = id => document.getElementById(id);
const steps = ['laptop', 'dns', 'ca', 'away'];
const PATIENCE_MS = 6000, PAUSE_MS = 4000;
let busy = false, all = false, timer = 0;

// fetch() with an end; null where there was no answer, for whatever reason: a browser does not say.
async function ask(url, options) {
	const abort = new AbortController(), end = setTimeout(() => abort.abort(), PATIENCE_MS);
	try {
		return await fetch(url, { cache: 'no-store', credentials: 'omit', redirect: 'follow', signal: abort.signal, ...options });
	} catch {
		return null;
	} finally {
		clearTimeout(end);
	}
}

async function leadsHere(url) {
	const response = await ask(url);
	return response !== null && response.ok && (await response.text()).startsWith('devmesh');
}

// Below these browsers ask for HTTPS whatever is written, and so cannot tell the two steps apart.
const blind = url => /\.(app|bank|dev|day|foo|ing|meme|mov|new|nexus|page|phd|prof|rsvp|zip)$/.test(new URL(url).hostname);

// What it answers is nobody's business here; that the handshake was made is all.
const isTrusted = async url => await ask(url, { mode: 'no-cors' }) !== null;

// The one step to take next; null: none.
async function missing(state) {
	if (state.problem !== null) return 'laptop';
	if (state.tls !== null && await isTrusted(state.tls)) return null;
	if (!await leadsHere(state.name)) return state.dns === false ? 'laptop' : 'dns';
	return state.ca === 'private' ? 'ca' : 'away';
}

function show(state, step) {
	const done = step === null, every = all || (step === 'dns' && state.ca === 'private' && blind(state.name));
	document.body.classList.toggle('ok', done);
	for (const id of steps)
		$(id).hidden = done || (every ? id === 'away' || (id === 'ca' && state.ca !== 'private') || (id === 'laptop' && step !== 'laptop') : id !== step);
	if (step === 'laptop') $('problem').textContent = state.problem ?? state.no_dns;
	for (const id of ['fingerprint', 'owner', 'limits']) $(id).textContent = state[id] ?? '';
	$('open').href = state.open ?? '';
	$('open').querySelector('span').textContent = state.open ?? '';
	$('done').hidden = !done || state.open === null;
	$('again').hidden = done;
	$('all').hidden = done || every || step === 'laptop';
	$('title').textContent = done ? 'This phone is ready' : 'Set up this phone';
	$('status').textContent = done ? 'Names lead to the computer, and its certificates are trusted.' :
		step === 'laptop' ? 'This phone can do nothing yet:' : every && !all ? 'One of these is missing, or both. This page notices when they are done.' : 'One step is missing. This page notices when it is done.';
}

async function check() {
	if (busy) return;
	busy = true;
	clearTimeout(timer);
	document.body.classList.add('busy');
	const response = await ask(`/phone/state${location.search}`), state = response?.ok ? await response.json() : null;
	let step;
	if (state !== null && state.looked) {
		step = await missing(state);
		show(state, step);
		document.body.dataset.step = step ?? 'none';
	} else if (state === null) {
		$('status').textContent = 'The computer does not answer: is this phone in its network?';
		document.body.dataset.step = 'lost';
	}
	document.body.classList.remove('busy');
	busy = false;
	if (step !== null) timer = setTimeout(() => { if (!document.hidden) check(); }, state === null || state.looked ? PAUSE_MS : 300);
}

$('again').addEventListener('click', check);
$('all').addEventListener('click', () => { all = true; check(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) check(); });
addEventListener('online', check);
for (const id of steps) $(id).hidden = true;
$('done').hidden = true;
$('again').hidden = false;
$('status').textContent = 'Looking at what this phone can do';
check();
