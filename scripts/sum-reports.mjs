// Sums the Jest reports of a directory. The gate prints the sum as its last line:
// `node scripts/sum-reports.mjs <directory> <failed steps>`
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How a report's file is named. */
export const REPORT = '.report.json';

/** The tests of one run. A run that failed without a failed test counts as one. */
export function resultOf(path) {
  const run = JSON.parse(readFileSync(path, 'utf8'));
  const failed = run.numFailedTests + run.numRuntimeErrorTestSuites;
  return {
    passed: run.numPassedTests,
    failed: failed === 0 && !run.success ? 1 : failed,
    skipped: run.numPendingTests,
  };
}

export function sentenceOf({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function sumOf(results) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) for (const kind of Object.keys(sum)) sum[kind] += result[kind];
  return sum;
}

if (import.meta.filename === process.argv[1]) {
  const [directory, failedSteps] = process.argv.slice(2);
  const paths = readdirSync(directory).filter((name) => name.endsWith(REPORT));
  const sum = sumOf(paths.map((name) => resultOf(join(directory, name))));
  sum.failed += Number(failedSteps);
  if (sum.passed === 0 && sum.failed === 0) sum.failed = 1;
  console.log(sentenceOf(sum));
  process.exitCode = sum.failed > 0 ? 1 : 0;
}
