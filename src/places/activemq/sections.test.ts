// Messages as bytes, against rhea: what one writes the other reads the same.

import { beforeAll, expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import type { RheaMessage, RheaPackage } from './protocol.ts';
import { readMessage, writeMessage, type WrittenMessage } from './sections.ts';

let library: RheaPackage['default']['message'] & { data_section(data: Uint8Array): unknown };
beforeAll(async () => {
  const { default: rhea } = (await importPackage('rhea', 'rhea', 'activemq')) as RheaPackage;
  library = rhea.message as typeof library;
});

const least: WrittenMessage = {
  body: new Uint8Array(0),
  message_id: '',
  creation_time: 0,
  application_properties: {},
};
const full: WrittenMessage = {
  durable: true,
  priority: 9,
  ttl: 4_294_967_295,
  message_id: 'a/b-7',
  to: 'ö'.repeat(85),
  subject: 'x'.repeat(85),
  reply_to: 'x'.repeat(86),
  correlation_id: '\ud83d\ude00'.repeat(100),
  content_type: 'text/plain',
  creation_time: 1_700_000_000_123,
  message_annotations: { 'x-opt-delivery-delay': 5_000_000_000 },
  application_properties: { naru: 'a/b 7 1700000000123', ä: '', long: 'l'.repeat(100_000) },
  body: Buffer.alloc(256, 7),
};
const messages = [least, full, { ...least, body: Buffer.alloc(255, 1) }, { ...full, priority: undefined }];

/** Without what is not there, and the body and the time as what they say. */
function plain(message: RheaMessage): object {
  const { body, creation_time: time, message_annotations: _, ...others } = message;
  const content = body instanceof Uint8Array ? body : (body as { readonly content: Uint8Array }).content;
  const bytes = Buffer.from(content).toString('hex');
  const entries = Object.entries(others).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(entries), time: Number(time), bytes };
}

test('rhea reads what is written here, and it is read here as rhea reads it', () => {
  for (const message of messages) {
    const bytes = writeMessage(message);
    const byRhea = library.decode(bytes);
    expect(plain(byRhea)).toEqual(plain({ durable: false, ...message }));
    expect(plain(readMessage(bytes) as RheaMessage)).toEqual(plain(byRhea));
    expect(byRhea.message_annotations).toEqual(message.message_annotations);
  }
});

test('what rhea writes is read here as rhea reads it', () => {
  for (const message of messages) {
    const bytes = library.encode({
      ...message,
      body: library.data_section(message.body),
      delivery_count: 3,
      footer: { f: 'f' },
    });
    const { footer: _, ...byRhea } = library.decode(bytes) as RheaMessage & { footer?: unknown };
    expect(plain(readMessage(bytes) as RheaMessage)).toEqual(plain(byRhea));
  }
});

test('what Naru does not write is left to rhea', () => {
  const body = library.data_section(Buffer.from('x'));
  for (const message of [
    { body: 'a text' },
    { body, message_id: 7 },
    { body, application_properties: { n: 7 } },
    { body, application_properties: { list: ['a'] } },
  ])
    expect(readMessage(library.encode(message))).toBeUndefined();
});

test('a message that ends anywhere too early is none', () => {
  const bytes = writeMessage({ ...full, application_properties: { naru: 'a 1 2' } });
  const whole = new Set<number>();
  for (let length = 1; length < bytes.byteLength; length += 1)
    if (readMessage(Buffer.from(bytes.subarray(0, length))) !== undefined) whole.add(length);
  // Where one of the four sections before the body ends.
  expect(whole.size).toBe(4);
});
