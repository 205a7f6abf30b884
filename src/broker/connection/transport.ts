// What the core needs of a connection's socket. The edge implements it; tests do with memory.

export interface Transport {
  /** Bytes that were handed over and are not sent. */
  readonly pendingBytes: number;
  /** Sends bytes in order. They may be reused only after `written` was called. */
  write(bytes: Buffer, written?: () => void): void;
  /** No more bytes are read until resume(). */
  pause(): void;
  resume(): void;
  /** Sends what was handed over, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}
