// Topics are words with dots between them, as AMQP has them. ZeroMQ knows only how the bytes begin: it is asked for what all
// matching topics begin with, and the words are compared here.

/** What every topic that matches begins with: what ZeroMQ filters by, at the publisher. */
export function prefixOf(pattern: string): string {
  const wild = pattern.search(/[*#]/);
  if (wild < 0) return pattern;
  const literal = pattern.slice(0, wild);
  // `prices.#` matches `prices`, too.
  return pattern[wild] === '#' && literal.endsWith('.') ? literal.slice(0, -1) : literal;
}

/** Makes a test of topics: `*` is one word, `#` any number of words, none included. */
export function matcherOf(pattern: string): (topic: string) => boolean {
  const wanted = pattern.split('.');
  if (!/[*#]/.test(pattern)) return (topic) => topic === pattern;
  return (topic) => matches(wanted, 0, topic.split('.'), 0);
}

function matches(wanted: readonly string[], at: number, words: readonly string[], from: number): boolean {
  const word = wanted[at];
  if (word === undefined) return from === words.length;
  if (word === '#') {
    for (let next = from; next <= words.length; next += 1)
      if (matches(wanted, at + 1, words, next)) return true;
    return false;
  }
  if (from === words.length || (word !== '*' && word !== words[from])) return false;
  return matches(wanted, at + 1, words, from + 1);
}
