// SPDX-License-Identifier: MIT
export const metadata = { title: 'Next.js behind devmesh' };

export default function Layout({ children }) {
	return (
		<html lang="en">
			<body>{children}</body>
		</html>
	);
}
