// A process that takes the lock of a folder, says whether it has it, and keeps it until it is killed. Argument: the folder.

import { writeSync } from 'node:fs';
import { isNaruError } from '../errors/index.ts';
import { lockFolder } from './lock.ts';

try {
  const release = await lockFolder(process.argv[2] ?? '');
  writeSync(1, 'held\n');
  // The lock is let go when the test, or its end, closes this.
  process.stdin.resume().on('end', () => void release());
} catch (error) {
  writeSync(1, isNaruError(error) ? `${error.code} ${error.message}\n` : `${String(error)}\n`);
}
