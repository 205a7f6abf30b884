// Frames that are not as they should be, by what is wrong with them: what both brokers must answer alike.

import type { RawFrame } from './step.fixture.ts';

const PUBLISH: RawFrame = { type: 1, payload: '003c00280000000000' };
const method = (payload: string): RawFrame => ({ type: 1, payload });
const body = (payload: string): RawFrame => ({ type: 3, payload });

/** A content header without properties. */
function header(classId: string, bodyBytes: number, weight = '0000'): RawFrame {
  return { type: 2, payload: `${classId}${weight}${bodyBytes.toString(16).padStart(16, '0')}0000` };
}

export const WRONG_FRAMES: Readonly<Record<string, readonly RawFrame[]>> = {
  'an unknown type': [{ type: 9, payload: '616263' }],
  'an unknown type, empty': [{ type: 9, payload: '' }],
  'type 0': [{ type: 0, payload: '00' }],
  'an unknown type, no text': [{ type: 9, payload: '00ff10' }],
  'an unknown type, quotes': [{ type: 9, payload: '22615c0a' }],
  'an unknown type, long': [{ type: 9, payload: '61'.repeat(100) }],
  'a wrong end mark': [{ type: 1, payload: '001e000a00', mark: 0 }],
  'larger than agreed by 8': [body('61'.repeat(131_072))],
  'larger than agreed by 9': [body('61'.repeat(131_073))],
  'a heartbeat of a channel': [{ type: 8, payload: '' }],
  'a heartbeat with a payload': [{ type: 8, payload: '01' }],
  'a header without a method': [header('003c', 0)],
  'a body without a method': [body('61')],
  'two methods with content': [PUBLISH, PUBLISH],
  'a body before its header': [PUBLISH, body('61')],
  'a header of another class': [PUBLISH, header('0032', 0)],
  'a header with a weight': [PUBLISH, header('003c', 0, '0001')],
  'a method before the body': [PUBLISH, header('003c', 3), PUBLISH],
  'two headers': [PUBLISH, header('003c', 3), header('003c', 3)],
  'more body than announced': [PUBLISH, header('003c', 3), body('61626364')],
  'empty body frames': [PUBLISH, header('003c', 1), body(''), body('61')],
  'a header cut off': [PUBLISH, { type: 2, payload: '003c0000' }],
  'an empty header': [PUBLISH, { type: 2, payload: '' }],
  'an empty method': [method('')],
  'a method cut off': [method('003c')],
  'queue.declare-ok': [method('0032000b000000000000000000')],
  'connection.open on a channel': [method('000a0028012f0000')],
  'connection.close on a channel': [method('000a003200c80000000000')],
  'connection.secure on a channel': [method('000a001400000000')],
  'channel.open twice': [method('0014000a00')],
  'channel.flow-ok': [method('0014001501')],
  'channel.close-ok': [method('00140029')],
  'confirm.select-ok': [method('0055000b')],
  'a name with a zero': [method('0032000a00000200610000000000')],
  'bits that mean nothing': [method('0032002800000171ff')],
};
