// A process that starts a child and is killed, for the tests of spawn(). Arguments: URL of a mailbox, what the child does.

import { open } from '../open.ts';
import { spawn } from '../spawn.ts';

const [, , url = '', act = ''] = process.argv;
const orders = await open(url);
await spawn(new URL('./child.fixture.js', import.meta.url), { share: { orders }, data: { act } });
