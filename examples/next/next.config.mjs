// SPDX-License-Identifier: MIT
// In development Next.js answers /_next/* (scripts, hot reload) only to origins that it knows.
const host = process.env.DEVMESH_HOST;

export default {
	allowedDevOrigins: host ? [host] : [],
};
