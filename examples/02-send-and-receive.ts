// 02 · Every way to send × every way to receive, with the sender first and with the receiver first; then each of them alone;
// then a mailbox without room, where send and receive have to meet.
import { setImmediate } from 'node:timers/promises';
import { isNaruError, open } from 'naru';

const TIMED_MS = 200;

await using mailbox = await open('memory://example-02', { codec: 'text' });
await mailbox.connect('producer'); // the calls that never wait need their seats beforehand
await mailbox.connect('consumer');

const sends: Record<string, () => Promise<string>> = {
  // Waits while the mailbox is full; resolves when the message is in it.
  waiting: async () => `receipt ${(await mailbox.send('hello')).reached}`,
  // Never waits: false when the mailbox is full.
  'not waiting': async () => (mailbox.trySend('hello') ? 'sent' : 'not sent'),
  // Resolves when a consumer's receive has returned the message.
  'until received': async () => `receipt ${(await mailbox.send('hello', { confirm: 'received' })).reached}`,
};

const receives: Record<string, () => Promise<string | undefined>> = {
  // Waits until a message comes.
  waiting: async () => (await mailbox.receive()).data,
  // Waits so long and no longer.
  timed: async () => (await mailbox.receive({ timeoutMs: TIMED_MS })).data,
  // Never waits: undefined when there is nothing.
  'at once': async () => mailbox.tryReceive()?.data,
};

for (const [how, send] of Object.entries(sends)) {
  for (const [when, receive] of Object.entries(receives)) {
    const sending = send();
    await setImmediate(); // the receiver comes later
    console.log(
      `${how} × ${when}, sender first: received ${(await receive()) ?? 'nothing'}, ${await sending}`,
    );

    const receiving = receive();
    await setImmediate(); // the sender comes later
    const answer = send();
    const received = (await receiving) ?? `nothing, and by the next call ${(await mailbox.receive()).data}`;
    console.log(`${how} × ${when}, receiver first: received ${received}, ${await answer}`);
  }
}

/** The code of the error that a call ends with. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isNaruError(error) ? error.code : 'no error';
}

console.log('nobody sends, receive timed:', await codeOf(mailbox.receive({ timeoutMs: TIMED_MS })));
console.log('nobody sends, receive at once:', mailbox.tryReceive());
// The message is in the mailbox; what is not known is whether anybody will take it.
const unreceived = mailbox.send('hello', { confirm: 'received', timeoutMs: TIMED_MS });
console.log('nobody receives, send until received:', await codeOf(unreceived));

await using small = await open('memory://example-02-small?depth=1', { codec: 'text' });
await small.send('fills it');
console.log('full, send not waiting:', small.trySend('more'));
console.log('full, send timed:', await codeOf(small.send('more', { timeoutMs: TIMED_MS })));
const waiting = small.send('more');
await small.receive(); // makes room
console.log('full, send waiting, then a receive: receipt', (await waiting).reached);

await using meeting = await open('memory://example-02-meeting?depth=0', { codec: 'text' });
await meeting.connect('producer');
console.log('no room at all, send not waiting, nobody receives:', meeting.trySend('hello'));
const sending = meeting.send('hello');
console.log(
  'no room at all, both waiting: received',
  (await meeting.receive()).data,
  'receipt',
  (await sending).reached,
);
