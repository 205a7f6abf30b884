// The System V type as `message.type`: a number in the kernel, a text in the model.

import { NaruError } from '../../errors/index.ts';
import type { TagField } from '../../kernel-queue/packing.ts';
import type { MessageFields } from '../../wire/envelope-types.ts';

const DEFAULT_TYPE = 1;
const NUMBER = /^[1-9]\d{0,15}$/;
const KNOWN_MAX = 256;

/** @param anyText  in an envelope a type may be any text; what is no number is of System V type 1 */
export function typeTags(mailbox: string, anyText: boolean): TagField {
  /** One object for all messages of a type: a queue has few types and many messages. */
  const known = new Map<number, MessageFields>();
  return {
    tagOf(fields) {
      const text = fields?.type;
      if (text === undefined) return DEFAULT_TYPE;
      const type = NUMBER.test(text) ? Number(text) : 0;
      if (type > 0 && type <= Number.MAX_SAFE_INTEGER) return type;
      if (anyText) return DEFAULT_TYPE;
      const what = `a System V type is a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, got "${text.slice(0, 40)}"`;
      throw new NaruError('NARU_INVALID_ARGUMENT', `${mailbox}: ${what}`, { place: 'sysv', mailbox });
    },
    fieldsOf(tag) {
      let fields = known.get(tag);
      if (fields !== undefined) return fields;
      fields = Object.freeze({ type: String(tag) });
      if (known.size < KNOWN_MAX) known.set(tag, fields);
      return fields;
    },
  };
}
