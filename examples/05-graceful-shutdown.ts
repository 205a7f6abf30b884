// 05 · Graceful shutdown: on SIGTERM a consumer takes no more, finishes what it has in hand, settles it, closes and exits.
// What it had not begun is still in the mailbox and goes to the next consumer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

async function consume(address: string): Promise<void> {
  const jobs = await open(address, { role: 'consumer', codec: 'text' });
  // consume() acks a message when its handler has resolved.
  const consumption = jobs.consume(async ({ data }) => {
    console.log(`first consumer: ${data} begun`);
    await setTimeout(200); // the work
    console.log(`first consumer: ${data} finished`);
  });
  process.once('SIGTERM', () => {
    console.log('first consumer: SIGTERM');
    void jobs.drain(); // stop taking, finish, settle, close
  });
  await consumption.finished; // nothing is left to do, so the process exits by itself, with code 0
}

async function main(): Promise<void> {
  await using jobs = await open(`shm://example-05-${process.pid}`, { codec: 'text' });
  await jobs.sendMany(['wash', 'rinse', 'dry']);

  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), jobs.address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    if (line.endsWith('wash begun')) child.kill('SIGTERM');
  }
  console.log(`first consumer: exit code ${(await exited)[0]}`);

  await jobs.end();
  for await (const { data } of jobs) {
    console.log(`second consumer: ${data}`);
  }
}

const address = process.argv[2];
await (address === undefined ? main() : consume(address));
