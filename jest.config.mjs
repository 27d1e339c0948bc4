import { availableParallelism } from 'node:os';
import { SWC } from './test/support/swc.mjs';

/** The directories of each run. TESTS names a run; without it Jest finds every spec. */
const RUNS = {
  default: [
    'src',
    'test/support',
    ...['contract', 'integration', 'e2e', 'property', 'process'].map((name) => `test/${name}`),
  ],
  drivers: ['test/drivers'],
  interop: ['test/interop'],
  long: ['test/long'],
  chaos: ['test/chaos'],
  collection: ['test/collection'],
  front: ['test/front'],
};
const directories = process.env.TESTS ? RUNS[process.env.TESTS] : ['src', 'test'];
if (!directories) throw new Error(`TESTS must be one of ${Object.keys(RUNS).join(', ')}`);

export default {
  // Errors and typed arrays are those of Node, as in production.
  testEnvironment: '<rootDir>/test/support/shared-realm.environment.ts',
  // Evaluates `src` and packages once per worker.
  runtime: '<rootDir>/test/support/native-modules.runtime.cjs',
  // Native ESM: Nest 12 is ESM only. Jest is started with --experimental-vm-modules (see package.json).
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', SWC] },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: directories.map((directory) => `<rootDir>/${directory}/**/*.spec.ts`),
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts'],
  coverageDirectory: 'coverage',
  // For hangs only: no test fails because the machine is slow.
  testTimeout: 300_000,
  // Many tests wait for processes, leases and faults: three workers keep two processors busy.
  maxWorkers: Math.max(3, availableParallelism() - 1),
  testSequencer: '<rootDir>/test/support/longest-first.sequencer.mjs',
  // One Postgres per run. The first test that needs it starts it: see test/support/test-postgres.ts.
  globalSetup: '<rootDir>/test/support/postgres-setup.ts',
  globalTeardown: '<rootDir>/test/support/postgres-teardown.ts',
};
