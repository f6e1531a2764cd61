// SPDX-License-Identifier: MIT
'use client';

import { useState } from 'react';

const label = 'clicks';

export function Clicks() {
	const [count, setCount] = useState(0);

	return <button id="clicks" onClick={() => setCount(count + 1)}>{`${label}: ${count}`}</button>;
}
