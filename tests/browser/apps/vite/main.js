// SPDX-License-Identifier: MIT
import { branch } from './branch.js';
import { show } from './banner.js';

document.querySelector('#branch').textContent = branch;
show(document.querySelector('#banner'));
