// The child of example 16: takes photos, and crashes over two of them. A photo that came before it has crashed once is let be.
import type { ChildContext, Mailbox } from 'naru';
import type { SharedValue } from 'naru/state';
import type { Lock } from 'naru/sync';

interface Shared {
  readonly photos: Mailbox<{ name: string }>;
  readonly analysed: SharedValue<'i32'>;
  readonly recovered: SharedValue<'i32'>;
  readonly lock: Lock;
}

export default async function analyse(
  { photos, analysed, recovered, lock }: Shared,
  { signal }: ChildContext,
): Promise<void> {
  for await (const photo of photos.messages({ signal })) {
    const guard = await lock.acquire();
    if (guard.recovered) recovered.add(1);
    if (!photo.redelivered && photo.data.name === '/broken') throw new Error('this photo is broken');
    if (!photo.redelivered && photo.data.name === '/deadly') process.kill(process.pid, 'SIGKILL');
    analysed.add(1);
    guard.release();
    await photo.ack();
  }
}
