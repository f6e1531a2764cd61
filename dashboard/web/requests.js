// SPDX-License-Identifier: MIT
// The requests of one service.
export function draw() {}
export function leave() {}
