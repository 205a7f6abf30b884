// Naru's side of every flow: one handle that sends and consumes.

import { open } from '#naru/index';
import type { Flow } from './flow.ts';

/** @param url  of a mailbox that nobody else uses */
export async function mailboxFlow(url: string): Promise<Flow> {
  const mailbox = await open(url, { codec: 'bytes' });
  let listener: (body: Uint8Array) => void = () => undefined;
  const consuming = (async () => {
    for await (const { data } of mailbox) listener(data);
  })();
  return {
    send: async (bodies) => {
      await mailbox.sendMany(bodies);
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      await mailbox.close();
      await consuming;
    },
  };
}
