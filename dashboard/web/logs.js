// SPDX-License-Identifier: MIT
// The output of one service.
export function draw() {}
export function leave() {}
