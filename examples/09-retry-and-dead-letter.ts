// 09 · A handler that fails: the message is tried again with growing delays, and when its attempts are used up it moves to
// another mailbox, with the reason in its headers. Nothing loops for ever and nothing is dropped without a word.
import { open } from 'naru';

await using failed = await open('memory://example-09-failed', { codec: 'text' });
await using jobs = await open('memory://example-09', {
  codec: 'text',
  retry: { attempts: 3, delayMs: 10 },
  deadLetter: 'memory://example-09-failed',
});

await jobs.sendMany(['paint', 'explode', 'sweep']);
await jobs.end();

const consumption = jobs.consume(({ data, deliveries }) => {
  console.log(`${data}, attempt ${deliveries}`);
  if (data === 'explode') throw new Error('no explosives left');
});
await consumption.finished;

const { data, headers } = await failed.receive();
console.log('dead letter:', data);
console.log('from:', headers['x-death-from']);
console.log('after deliveries:', headers['x-death-deliveries']);
console.log('because:', headers['x-death-reason']);
