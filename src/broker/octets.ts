// Bytes in error texts, as RabbitMQ shows them: a text where all of them are printable, else their numbers; at most sixteen.

const SHOWN_MAX = 16;
const ESCAPES: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\u001b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
};

/** `all octets = <<"abc">>` or `first 16 octets = <<0,1,…>>` */
export function octets(payload: Uint8Array): string {
  const shown = Buffer.from(payload.subarray(0, SHOWN_MAX));
  const which = payload.length > SHOWN_MAX ? `first ${SHOWN_MAX}` : 'all';
  return `${which} octets = <<${inside(shown)}>>`;
}

function inside(bytes: Buffer): string {
  if (bytes.length === 0) return '';
  const letters = Array.from(bytes.toString('latin1'));
  const isText = letters.every((letter) => letter in ESCAPES || /[ -~\u00a0-\u00ff]/.test(letter));
  if (!isText) return Array.from(bytes).join(',');
  return `"${letters.map((letter) => ESCAPES[letter] ?? letter).join('')}"`;
}
