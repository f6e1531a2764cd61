// SPDX-License-Identifier: MIT
// Who else may open a service: the tab in which it is shared, and its QR code for a phone.
import { actionButton, loginHint, post, session } from './act.js';
import { el, isLink, once } from './dom.js';
import { mesh } from './model.js';

const reaches = {
	lan: ['Devices of this network', 'devices with a private address'],
	password: ['Whoever has a password', 'whoever reaches this machine and logs in'],
	public: ['Everybody', 'everybody who reaches this machine'],
};
const periods = { '1h': 'for an hour', '24h': 'for a day', '7d': 'for a week', '': 'until you end it' };

let told = null; // the password that was just made: {id, user, password}
const want = { reach: 'lan', expires: '24h' };

const chooser = (name, label, options) => el('label', {}, `${label} `, el('select', { name, on: { change: (event) => { want[name] = event.target.value; } } },
	...Object.entries(options).map(([value, text]) => el('option', { value, selected: want[name] === value }, text))));

const end = ({ until }) => (until === null ? 'until you end it' : `until ${new Date(until * 1000).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}`);

function state({ id, share }) {
	if (!share) return [el('p', {}, el('strong', {}, 'Private. '), 'Only this machine can open it; other devices are told that it is not shared.')];
	return [el('p', {}, el('strong', {}, 'Shared '), `with ${reaches[share.reach][1]}, ${end(share)}.`),
		told?.id === id && told.password && share.reach === 'password'
			? el('p', {}, 'User ', el('code', {}, told.user), ', password ', el('code', {}, told.password), '. The password is not shown again.')
			: share.user && el('p', {}, 'They log in as ', el('code', {}, share.user), '.')];
}

function controls({ id, share }) {
	const path = `/api/v1/services/${id}`;

	if (!session.may_change) return [loginHint()];
	return [
		el('div', { class: 'actions' }, chooser('reach', 'With', Object.fromEntries(Object.entries(reaches).map(([key, [text]]) => [key, text]))),
			chooser('expires', 'How long', periods)),
		el('div', { class: 'actions' },
			actionButton(`share ${id}`, share ? 'Change' : 'Share', async () => {
				const answer = await post(`${path}/share`, { reach: want.reach, ...(want.expires && { expires: want.expires }) });

				told = { id, user: answer.share.user, password: answer.password };
			}, { class: 'main' }),
			share && actionButton(`unshare ${id}`, 'Make private', async () => {
				await post(`${path}/unshare`);
				told = null;
			}))];
}

function qr({ id, url, share }) {
	if (!isLink(url)) return [];
	if (/(^|\.)localhost$/.test(new URL(url).hostname))
		return [el('h3', {}, 'On a phone'), el('p', { class: 'lead' }, 'Names below .localhost lead every device to itself: a phone needs a domain of your own, in config.ini below [mesh], or by devmesh setup --domain.')];
	if (!share) return [];
	return [el('h3', {}, 'On a phone'), el('div', { id: 'qr' }, el('img', { src: `/api/v1/services/${id}/qr`, alt: `QR code of ${url}`, width: 200, height: 200 })),
		el('p', { class: 'lead' }, 'What a phone needs before it can open this: ', el('code', {}, 'devmesh phone'))];
}

export function draw(box, service) {
	if (service.id === mesh.node.id) {
		once(box, 'self', () => [el('p', {}, 'To other devices this page is the list of what is shared, and nothing else.')]);
		return;
	}
	once(box, JSON.stringify(['share', service.id, service.url, service.share, session.may_change, told]), () =>
		[...state(service), ...controls(service), ...qr(service)].filter(Boolean));
}

export function leave() {
	told = null;
}
