// The codec of AMQP 0-9-1: frames, methods, field tables, properties. Bytes only; no sockets, no state of a connection.

export { CODEC_LIMITS, FRAME_OVERHEAD } from './limits.ts';
export {
  FrameParser,
  FrameType,
  FRAME_END,
  FRAME_PREFIX,
  PROTOCOL_HEADER,
  type FrameHandler,
  type FrameProblem,
} from './frames.ts';
export { Reader, textOf } from './reader.ts';
export { Writer } from './writer.ts';
export * from './field-table.ts';
export * from './properties.ts';
export * from './methods/ids.generated.ts';
export * from './methods/connection.generated.ts';
export * from './methods/channel.generated.ts';
export * from './methods/access.generated.ts';
export * from './methods/exchange.generated.ts';
export * from './methods/queue.generated.ts';
export * from './methods/basic.generated.ts';
export * from './methods/tx.generated.ts';
export * from './methods/confirm.generated.ts';
