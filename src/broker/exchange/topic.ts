// Topic: patterns of words separated by dots, `*` for one word, `#` for any number. A trie of patterns, walked once for a key
// with the set of nodes reached so far, so that a key costs words × nodes and no pattern makes it go back.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import { LIMITS } from '../limits.ts';
import { preconditionFailed } from '../refusal.ts';
import type { Binding, Destination } from './binding.ts';
import type { Matcher } from './matcher.ts';

interface Node<D extends Destination> {
  readonly next: Map<string, Node<D>>;
  readonly bindings: Set<Binding<D>>;
  /** Stays where it is for any word: it was reached by `#`. */
  readonly many: boolean;
}

export class TopicMatcher<D extends Destination> implements Matcher<D> {
  readonly #root: Node<D> = makeNode(false);

  add(binding: Binding<D>): void {
    const words = wordsOf(binding.key);
    if (words.length > LIMITS.topicWordsMax.default) {
      throw preconditionFailed(
        `routing key pattern of ${words.length} words is longer than ${LIMITS.topicWordsMax.default} words`,
      );
    }
    let node = this.#root;
    for (const word of words) {
      let next = node.next.get(word);
      if (next === undefined) {
        next = makeNode(word === '#');
        node.next.set(word, next);
      }
      node = next;
    }
    node.bindings.add(binding);
  }

  remove(binding: Binding<D>): void {
    const path: [Node<D>, string][] = [];
    let node = this.#root;
    for (const word of wordsOf(binding.key)) {
      const next = node.next.get(word);
      if (next === undefined) return;
      path.push([node, word]);
      node = next;
    }
    node.bindings.delete(binding);
    for (let at = path.length - 1; at >= 0; at -= 1) {
      const [parent, word] = path[at] as [Node<D>, string];
      const child = parent.next.get(word) as Node<D>;
      if (child.bindings.size > 0 || child.next.size > 0) return;
      parent.next.delete(word);
    }
  }

  match(key: string, _headers: () => FieldTable, found: (destination: D) => void): void {
    let reached = new Set<Node<D>>();
    reach(this.#root, reached);
    if (key !== '') {
      for (const word of key.split('.')) {
        const after = new Set<Node<D>>();
        for (const node of reached) {
          if (node.many) reach(node, after);
          const exact = word === '#' || word === '*' ? undefined : node.next.get(word);
          if (exact !== undefined) reach(exact, after);
          const any = node.next.get('*');
          if (any !== undefined) reach(any, after);
        }
        if (after.size === 0) return;
        reached = after;
      }
    }
    for (const node of reached) for (const { destination } of node.bindings) found(destination);
  }
}

function makeNode<D extends Destination>(many: boolean): Node<D> {
  return { next: new Map(), bindings: new Set(), many };
}

/** Adds a node and what `#` reaches from it with no word at all. */
function reach<D extends Destination>(node: Node<D>, into: Set<Node<D>>): void {
  let at: Node<D> | undefined = node;
  while (at !== undefined && !into.has(at)) {
    into.add(at);
    at = at.next.get('#');
  }
}

/** The words of a pattern; several `#` in a row mean what one means. An empty key has no words. */
function wordsOf(pattern: string): string[] {
  if (pattern === '') return [];
  return pattern.split('.').filter((word, at, all) => word !== '#' || all[at - 1] !== '#');
}
