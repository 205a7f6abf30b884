// 17 · The textbook's hello pair, unchanged, against Naru's broker: two programs for RabbitMQ, one process instead of a container.
// What they lose, and how: docs/guide/broker.md, "The textbook's hello pair". 20 is the pair that loses nothing.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Broker } from 'naru/broker';

// With AMQP_URL they meet at another broker: RabbitMQ, if you like.
const broker = process.env['AMQP_URL'] === undefined ? await Broker.start({ port: 0 }) : undefined;

function run(name: string): ChildProcess {
  const file = fileURLToPath(new URL(name, import.meta.url));
  return spawn(process.execPath, [file], {
    env: { ...process.env, ...(broker && { AMQP_URL: broker.url }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Prints what a program says; resolves when it said `text`. */
function said(child: ChildProcess, text: string): Promise<void> {
  let output = '';
  return new Promise((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      output += chunk.toString();
      if (output.includes(text)) resolve();
    });
  });
}

// The sender first: the message waits in the queue.
const sender = run('17-hello-send.js');
await said(sender, 'Sent');
const receiver = run('17-hello-receive.js');
await said(receiver, 'Received');
receiver.kill('SIGINT');
sender.kill();
await broker?.stop();
