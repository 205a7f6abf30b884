// 06 · A mailbox that moves by its URL alone: the same program, run three times. The mailbox is in the process's own memory,
// then in shared memory, then behind a TCP listener; nothing but the URL changes.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

async function program(url: string): Promise<void> {
  await using consumer = await open(url, { role: 'consumer' });
  // The address is what others open: tcp://127.0.0.1:0 has become the port that was free.
  await using producer = await open(consumer.address, { role: 'producer', needs: ['headers', 'end'] });

  await producer.send({ id: 1 }, { headers: { city: 'Seoul' } });
  const { sent } = await producer.sendMany([{ id: 2 }, { id: 3 }]);
  console.log(`sent 1 and ${sent} more`);
  await producer.end();

  for await (const { data, headers } of consumer) console.log('received', JSON.stringify({ data, headers }));
}

const given = process.argv[2];
if (given !== undefined) await program(given);
else {
  for (const url of ['memory://orders', `shm://example-06-${process.pid}`, 'tcp://127.0.0.1:0?listen']) {
    console.log(`--- ${url.replace(/-\d+$/, '')}`);
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), url], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exitCode = 1;
  }
}
