// SPDX-License-Identifier: MIT
import { branch } from '../branch';
import { Clicks } from './clicks';

export default function Page() {
	return (
		<>
			<h1 id="branch">{branch}</h1>
			<Clicks />
		</>
	);
}
