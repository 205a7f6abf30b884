// What encoded values are written to. The one implementation is Writer; tables know only this.

export interface Sink {
  octet(value: number): void;
  short(value: number): void;
  long(value: number): void;
  int64(value: bigint): void;
  float(value: number): void;
  double(value: number): void;
  /** @throws NARU_INVALID_MESSAGE  more than 255 bytes */
  shortstr(text: string): void;
  longstr(text: string): void;
  longbytes(bytes: Uint8Array): void;
  /** Writes what `body` writes with its length in front. */
  counted(body: () => void): void;
}
