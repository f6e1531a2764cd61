// SPDX-License-Identifier: MIT
// What devmeshd knows, as it has told it: nothing here looks at the page.
export const states = ['up', 'starting', 'degraded', 'foreign', 'stale', 'orphan', 'down', 'remote'];

export const bad = ['degraded', 'foreign', 'stale', 'orphan', 'down'];
export const sortable = ['state', 'name', 'url', 'worktree', 'server', 'requests', 'cpu', 'since'];

const LOG_MAX = 300;

export const live = { paused: false };

export const mesh = {
	node: {}, caddy: {}, services: new Map(), found: new Map(), worktrees: new Map(),
	log: [], // newest first: {time, kind, id, data}
	shape: 0, // another number when rows came, went, or belong elsewhere
	finds: 0, // the same of what was found
	load: { services: {} }, // the newest measurements
	dirty: new Set(), // ids of services that have changed since they were drawn
	skew: 0, // seconds that the clock of the machine is ahead of this one
};

const byKey = (list, key) => new Map(list.map((one) => [key(one), one]));

export function hello(state) {
	mesh.node = state.node;
	mesh.caddy = state.caddy;
	mesh.services = byKey(state.services, (s) => s.id);
	mesh.found = byKey(state.found, foundKey);
	mesh.worktrees = byKey(state.worktrees, (w) => w.path);
	mesh.shape++;
	mesh.finds++;
	mesh.skew = state.node.now - Date.now() / 1000;
}

export const foundKey = (f) => `${f.pid}:${f.port ?? f.socket}`;

const differ = (a, b, ...keys) => !a || keys.some((key) => a[key] !== b[key]);

const appliers = {
	service(data) {
		if (differ(mesh.services.get(data.id), data, 'app', 'branch', 'worktree', 'url')) mesh.shape++;
		mesh.services.set(data.id, data);
		mesh.dirty.add(data.id);
	},
	'service-gone'(data) {
		mesh.services.delete(data.id);
		mesh.shape++;
	},
	found(data) {
		mesh.found.set(foundKey(data), data);
		mesh.finds++;
	},
	'found-gone'(data) {
		mesh.found.delete(foundKey(data));
		mesh.finds++;
	},
	worktree(data) {
		if (differ(mesh.worktrees.get(data.path), data, 'repo')) mesh.shape++;
		mesh.worktrees.set(data.path, data);
	},
	'worktree-gone'(data) {
		mesh.worktrees.delete(data.id);
		mesh.shape++;
	},
	caddy: (data) => { mesh.caddy = data; },
	mend: () => {},
	network: (data) => { mesh.network = data; },
	record: (data) => { mesh.record = data; },
	daemon: () => {},
};

export const kinds = Object.keys(appliers);

export function apply(kind, data) {
	appliers[kind](data);
	mesh.log.unshift({ time: data.time, kind, id: data.id ?? '', data });
	mesh.log.length = Math.min(mesh.log.length, LOG_MAX);
}

export function repoName(repo) {
	return (repo ?? '').replace(/\/\.git$/, '').replace(/\/+$/, '').replace(/^.*\//, '').replace(/\.git$/, '');
}

// The repository of its worktree; of a service that is in none, its app.
export function groupOf(service) {
	const worktree = mesh.worktrees.get(service.worktree);

	return worktree ? repoName(worktree.repo) : service.app;
}

// Its branch; of another app than the others of its repository, with that.
export const nameOf = (service) => (!service.branch ? service.id
	: service.app === groupOf(service) ? service.branch : `${service.app} · ${service.branch}`);

// What was measured of a service; empty while nothing was.
export const loadOf = (id) => mesh.load.services[id] ?? {};

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

const sorts = {
	state: (s) => states.indexOf(s.state),
	name: (s) => nameOf(s),
	url: (s) => s.url ?? '',
	worktree: (s) => s.worktree,
	server: (s) => s.command ?? '',
	requests: (s) => -(loadOf(s.id).requests?.last ?? 0),
	cpu: (s) => -(loadOf(s.id).cpu ?? -1),
	since: (s) => -s.since,
};

// [[group, [service, ...]], ...]; `view` is what view.js has.
export function grouped(view) {
	const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
	const value = sorts[view.sort];
	const groups = new Map();

	for (const service of mesh.services.values()) {
		const group = groupOf(service);
		const text = `${group} ${service.id} ${service.branch} ${service.worktree} ${service.command}`.toLowerCase();

		if (view.states.size && !view.states.has(service.state)) continue;
		if (!words.every((word) => text.includes(word))) continue;
		if (!groups.has(group)) groups.set(group, []);
		groups.get(group).push(service);
	}
	for (const list of groups.values())
		list.sort((a, b) => (compare(value(a), value(b)) || compare(a.id, b.id)) * (view.down ? -1 : 1));
	return [...groups].sort((a, b) => compare(a[0], b[0]));
}

export function ago(seconds) {
	const s = Math.max(0, Date.now() / 1000 + mesh.skew - seconds);

	return s < 60 ? '<1m' : s < 3600 ? `${Math.floor(s / 60)}m`
		: s < 86400 ? `${Math.floor(s / 3600)}h` : `${Math.floor(s / 86400)}d`;
}

export function size(bytes) {
	const units = ['B', 'KB', 'MB', 'GB', 'TB'];
	let i = 0;

	for (; bytes >= 1000 && i < units.length - 1; i++) bytes /= 1000;
	return `${bytes < 10 && i ? bytes.toFixed(1) : Math.round(bytes)} ${units[i]}`;
}
