// 10 · A schema: what is sent and what is received is checked, and both are typed. Any library that implements Standard
// Schema will do; this is zod, valibot would look the same.
import { isNaruError, open } from 'naru';
import { z } from 'zod';

const Order = z.object({
  id: z.number().int().positive(),
  // What is sent may leave it out, what is received has it: the two sides have different types.
  city: z.string().default('Seoul'),
});

await using orders = await open('memory://example-10', { schema: Order });

await orders.send({ id: 1 });
const { data } = await orders.receive();
const city: string = data.city;
console.log(`order ${data.id} to ${city}`);

try {
  await orders.send({ id: -1 });
} catch (error) {
  if (!isNaruError(error, 'NARU_INVALID_MESSAGE')) throw error;
  console.log(error.message);
}

// A message from somebody without the schema: the waiting receive rejects, and the message is dropped and counted, or moved
// to the dead-letter mailbox where there is one. It cannot come again and again.
await using stranger = await open('memory://example-10');
await stranger.send({ number: 1 });
try {
  await orders.receive();
} catch (error) {
  if (!isNaruError(error, 'NARU_INVALID_MESSAGE')) throw error;
  console.log(`${error.code}; dropped:`, (await orders.stats()).dropped);
}
