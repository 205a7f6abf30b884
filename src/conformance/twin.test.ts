// memory:// standing in for another place must be as good, and lack as much, as that place says.

import { afterAll, test } from 'vitest';
import { place } from '../places/memory/index.ts';
import { memory } from '../places/memory/capabilities.ts';
import { shm } from '../places/shm/capabilities.ts';
import { conformanceSuite } from './index.ts';

const capabilities = place.twin?.(shm) ?? memory;
const suite = conformanceSuite({ url: (name) => `memory://${name}?as=shm`, capabilities });

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(() => suite.close());
