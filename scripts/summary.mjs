// What the runs of a CI came to, from their JSON reports: node scripts/summary.mjs build/test.json …
// Each failure is said again, shortly, after everything else was printed: of a log that is cut, the end is what one sees.
// The last line is `N passed, N failed, N skipped`; exits with 1 if anything failed or a report is missing.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const LINES = 12;

let passed = 0;
let failed = 0;
let skipped = 0;

function fail(report, where, messages) {
  failed += 1;
  const text = messages.join('\n').trim().split('\n').slice(0, LINES).join('\n    ');
  console.log(`\nFAILED (${report}) ${where}\n    ${text}`);
}

for (const report of process.argv.slice(2)) {
  if (!existsSync(report)) {
    fail(report, 'the run as a whole', ['it wrote no report']);
    continue;
  }
  // The report of the engines is an empty object when no test ran.
  const { testResults = [], success = false, numTotalTests = 0 } = JSON.parse(readFileSync(report, 'utf8'));
  const failedBefore = failed;
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(process.cwd(), name);
    for (const test of assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') fail(report, `${file} > ${test.fullName}`, test.failureMessages);
      else skipped += 1;
    }
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
      fail(report, file, [message]);
    }
  }
  if (failed === failedBefore && !success) {
    fail(report, 'the run as a whole', [`it is not a success, and names no test of its ${numTotalTests}`]);
  }
}
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
