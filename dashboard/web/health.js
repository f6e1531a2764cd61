// SPDX-License-Identifier: MIT
// How well a service has been.
export function draw() {}
export function leave() {}
