// 07 · Direct addressing: a message to one process, named by its pid, and an answer to whoever sent it. Each thread has one
// inbox; it goes with its process, and sending to a process that is gone is an error.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { inboxOf, isNaruError, open, openInbox } from 'naru';

async function child(): Promise<void> {
  await using inbox = await openInbox();
  // Explicit: the parent's pid names its inbox.
  await using parent = await open(inboxOf(process.ppid), { role: 'producer' });
  await parent.send('hello, parent');
  console.log('child received:', (await inbox.receive()).data);
}

async function main(): Promise<void> {
  await using inbox = await openInbox();
  const process_ = spawn(process.execPath, [fileURLToPath(import.meta.url), 'child'], { stdio: 'inherit' });
  const exited = once(process_, 'exit');

  // Implicit: the message says who sent it.
  const message = await inbox.receive();
  console.log('parent received:', message.data);
  {
    await using sender = await open(inboxOf(message.sender), { role: 'producer' });
    await sender.send('hello, child');
  }
  await exited;

  try {
    await open(inboxOf(message.sender), { role: 'producer' });
  } catch (error) {
    if (!isNaruError(error, 'NARU_PEER_GONE')) throw error;
    console.log('the child is gone:', error.code);
  }
}

await (process.argv[2] === 'child' ? child() : main());
