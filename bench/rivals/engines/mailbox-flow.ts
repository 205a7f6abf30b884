// Naru's side of every flow: one handle that sends and consumes, or two where the other side has a connection for each.

import { open } from '#naru/index';
import type { Flow } from './flow.ts';

/**
 * @param url  of a mailbox that nobody else uses
 * @param isApart  sends through a handle of its own
 */
export async function mailboxFlow(url: string, isApart = false): Promise<Flow> {
  const mailbox = await open(url, { codec: 'bytes' });
  const sending = isApart ? await open(url, { codec: 'bytes' }) : mailbox;
  let listener: (body: Uint8Array) => void = () => undefined;
  const consuming = (async () => {
    for await (const { data } of mailbox) listener(data);
  })();
  return {
    send: async (bodies) => {
      await sending.sendMany(bodies);
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      if (isApart) await sending.close();
      await mailbox.close();
      await consuming;
    },
  };
}
