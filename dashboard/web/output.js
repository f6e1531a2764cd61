// SPDX-License-Identifier: MIT
// The view of what all services write.
import { $ } from './dom.js';
import { hide, show } from './logs.js';

export const draw = () => show($('output'), null);
export const leave = () => hide($('output'));
