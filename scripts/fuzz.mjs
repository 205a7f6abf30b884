// Fuzzes the broker's AMQP port, guided by coverage: `npm run fuzz -- --inputs 1000000 --seed 1`. Prints what it reached; ends with 1
// and the input when something went wrong. `npm run fuzz -- --replay INPUT` runs that input alone.
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    inputs: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '3600' },
    replay: { type: 'string' },
  },
});
const { fuzz, replay } = await import('../dist/broker/fuzz.fixture.js');
if (values.replay !== undefined) {
  const what = replay(values.replay);
  console.log(what ?? 'nothing goes wrong');
  process.exit(what === undefined ? 0 : 1);
}
const progress = process.stderr.isTTY ? (text) => process.stderr.write(`\r\x1b[K${text}`) : undefined;
const { failure, ...report } = await fuzz({
  seed: Number(values.seed),
  inputs: Number(values.inputs),
  seconds: Number(values.seconds),
  progress,
});
console.log(JSON.stringify(report));
if (failure !== undefined) {
  console.error(`${failure.what}\n\nnpm run fuzz -- --replay ${failure.input}`);
  process.exit(1);
}
