// What the two ends of a link over HTTP agree on: names of headers and the size of a piece.

/** Media type of the bytes of docs/internals/link-protocol.md. */
export const LINK_TYPE = 'application/vnd.naru.link';
/** Header of the answer that opens a link: its name, which nobody else can guess. */
export const LINK_ID = 'naru-link';
/** Header of a piece: how many bytes of the link went before it. */
export const LINK_OFFSET = 'naru-offset';
/** Bytes that one request may carry. */
export const PIECE_BYTES_MAX = 1_048_576;
