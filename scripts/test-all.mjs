// Runs all tests: `npm run test:all`, and the gate (.ci/run), which keeps the reports.
//
// There are two lanes. Runs that compute follow each other in one. Runs that mostly wait, for leases, faults
// and restarts, follow each other in the other. What a run printed is printed when it ends, in one piece.
//
// It exits with 2 if tests failed: node scripts/test-all.mjs [<directory for the Jest reports>]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPORT, resultOf, sentenceOf, sumOf } from './sum-reports.mjs';

/**
 * What is run: npm scripts, with variables that can be set otherwise. The sizes are those of a run of twenty
 * minutes, the seeds are fixed so that a failure is about the change. Each script alone runs longer.
 */
const FIRST = [{ script: 'test' }];
const COMPUTING = [
  { script: 'test:drivers' },
  { script: 'test:interop' },
  // A registry of 200,000 blobs instead of a million.
  { script: 'test:long', variables: { COLLECTION_SCALE: '0.2' } },
];
const COLLECTION = { COLLECTION_SEED: '15', COLLECTION_OPERATIONS: '600', COLLECTION_KILLS: '5' };
const WAITING = [
  { script: 'test:chaos', variables: { CHAOS_SEED: '2014', CHAOS_UPLOADS: '150' } },
  // With access control, so that keys rotate and rights change while clients push.
  { script: 'test:chaos-s3', variables: { CHAOS_ACCESS: 'token' } },
  { script: 'test:collection', variables: COLLECTION },
  { script: 'test:collection-s3', variables: COLLECTION },
];
/** Alone: its clients have limits on time of their own. */
const LAST = [{ script: 'test:front' }];

/** Stands for a run that ended without one. */
const WITHOUT_REPORT = {
  ...{ numPassedTests: 0, numFailedTests: 1, numPendingTests: 0 },
  ...{ numRuntimeErrorTestSuites: 0, success: false },
};

const given = process.argv[2];
const directory = given ?? mkdtempSync(join(tmpdir(), 'berth-reports-'));
/** The runs in progress: their processes, and what they have printed. */
const running = new Map();
const results = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupted(signal));
process.on('exit', () => given === undefined && rmSync(directory, { recursive: true, force: true }));

// Each run would compile it again.
spawnSync(process.execPath, ['scripts/build-if-changed.mjs'], { stdio: 'inherit' });
await lane(FIRST);
await Promise.all([lane(COMPUTING), lane(WAITING)]);
await lane(LAST);
for (const { name, seconds, ...result } of results) {
  console.log(`${name.padEnd(20)} ${String(seconds).padStart(5)} s  ${sentenceOf(result)}`);
}
const sum = sumOf(results);
console.log(sentenceOf(sum));
process.exitCode = sum.failed > 0 ? 2 : 0;

async function lane(runs) {
  for (const run of runs) await finished(run);
}

async function finished({ script, variables = {} }) {
  const [name, begin] = [script.replace(':', '-'), performance.now()];
  const report = join(directory, `${name}${REPORT}`);
  console.log(`== ${script}: begins`);
  const output = await outputOf(script, ['--', '--json', `--outputFile=${report}`], variables);
  const seconds = Math.round((performance.now() - begin) / 1000);
  console.log(`== ${script}\n${output}== ${script}: ${seconds} s`);
  if (!existsSync(report)) writeFileSync(report, JSON.stringify(WITHOUT_REPORT));
  results.push({ name: script, seconds, ...resultOf(report) });
}

/** Runs one script until it ends. */
function outputOf(script, options, variables) {
  const child = spawn('npm', ['run', script, ...options], {
    env: { ...variables, ...process.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = [];
  running.set(child, { script, printed });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => printed.push(bytes));
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', () => {
      running.delete(child);
      resolve(Buffer.concat(printed).toString());
    });
  });
}

/** Says what the runs in progress have printed: which test hangs, for example. */
function interrupted(signal) {
  for (const [child, { script, printed }] of running) {
    console.log(`== ${script}: stopped by ${signal}\n${Buffer.concat(printed).toString()}`);
    child.kill(signal);
  }
  process.exit(1);
}
