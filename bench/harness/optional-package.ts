// A package that a contestant needs and that need not be there.

/** Its name is no literal, so that this compiles without it. */
export async function load(name: string): Promise<unknown> {
  return (await import(name)) as unknown;
}
