// 03 · Request and reply between two processes: several requests in flight at once, and an error that comes home.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isNaruError, open } from 'naru';

async function serve(address: string): Promise<void> {
  await using squares = await open(address, { role: 'consumer', needs: ['reply'] });
  // What the handler returns is the answer; what it throws becomes NARU_REMOTE at the requester.
  const serving = squares.serve(({ data }) => {
    if (typeof data !== 'number') throw new TypeError(`${JSON.stringify(data)} is not a number`);
    return data * data;
  });
  await serving.finished; // ends with the mailbox
}

async function ask(): Promise<void> {
  await using squares = await open(`shm://example-03-${process.pid}`, { role: 'producer' });
  spawn(process.execPath, [fileURLToPath(import.meta.url), squares.address], { stdio: 'inherit' });

  const answers = await Promise.all([7, 8, 9].map((number) => squares.request(number)));
  console.log('squares of 7, 8, 9:', ...answers.map(({ data }) => data));

  try {
    await squares.request('seven');
  } catch (error) {
    if (!isNaruError(error, 'NARU_REMOTE')) throw error;
    console.log(`${error.code}: ${(error.cause as Error).message}`);
  }
  await squares.end();
}

const address = process.argv[2];
await (address === undefined ? ask() : serve(address));
