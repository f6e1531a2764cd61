// SPDX-License-Identifier: MIT
document.querySelector('#app').textContent = `Vite at ${location.host}`;

if (import.meta.hot) import.meta.hot.accept();
