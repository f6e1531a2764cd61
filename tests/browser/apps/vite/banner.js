// SPDX-License-Identifier: MIT
// A component that is exchanged while the page stays.
const text = 'banner one';

export function show(element) {
	element.textContent = text;
}

if (import.meta.hot)
	import.meta.hot.accept((next) => next?.show(document.querySelector('#banner')));
