// `naru/broker`: an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged, as a library call.

export { Broker, type BrokerEvents, type BrokerOptions, type ConnectionInfo } from './edge/broker.ts';
export type { MemoryOnly } from './storage/closing.ts';
export type { RecoveryReport } from './storage/recovery.ts';
export type { Definitions } from './definition-document.ts';
export type { PlainArguments } from './plain-table.ts';
export { LIMITS, type Limit, type LimitName, type Limits } from './limits.ts';
