// Puts naru/browser into one file that a bundler or a <script type="module"> can take: dist/browser/naru.js, from what the
// compiler made.
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

export async function buildBrowser() {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const bundle = await rolldown({ input: `${root}/dist/browser/index.js`, platform: 'browser' });
  await bundle.write({ file: `${root}/dist/browser/naru.js`, format: 'esm', minify: true });
  await bundle.close();
}
