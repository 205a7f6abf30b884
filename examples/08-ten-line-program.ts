// 08 · Talking to a program that knows nothing of Naru: ten lines of plain sockets (08-ten-lines.ts) that send a line and
// read a line. format=raw: the bytes of the body and nothing else; frame=lines: a message a line; codec text: data is a string.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

await using mailbox = await open('tcp://127.0.0.1:0?listen&format=raw&frame=lines', { codec: 'text' });
const port = /:(\d+)/.exec(mailbox.address)?.[1] ?? '';

const program = fileURLToPath(new URL('./08-ten-lines.js', import.meta.url));
const stranger = spawn(process.execPath, [program, port], { stdio: 'inherit' });
const exited = once(stranger, 'exit');

const message = await mailbox.receive();
console.log(`naru received: ${message.data} (sender "${message.sender}": strangers have no identity)`);
await mailbox.send('goodbye from naru');
await exited;
