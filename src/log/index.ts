// The public face of log/.

export { checkLog } from './check.ts';
export type { Disk, DiskFile, Level, LogClock } from './disk.ts';
export type { Damage } from './failures.ts';
export { Log, type LogOptions, type LogStats } from './log.ts';
export type { ReadRecord } from './reader.ts';
export type { LogRecord } from './record.ts';
export type { CheckReport, RecoveryReport } from './recovery.ts';
