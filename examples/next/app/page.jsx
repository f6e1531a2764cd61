// SPDX-License-Identifier: MIT
export const dynamic = 'force-dynamic';

export default function Page() {
	return <h1>{`Next.js at ${process.env.DEVMESH_HOST ?? 'no name'}`}</h1>;
}
