import { availableParallelism } from 'node:os';

// Native ESM: Nest 12 is ESM only. Jest is started with --experimental-vm-modules (see package.json).
const swc = [
  '@swc/jest',
  {
    jsc: {
      target: 'es2023',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
    module: { type: 'es6' },
  },
];

export default {
  // Errors and typed arrays are those of Node, as in production.
  testEnvironment: '<rootDir>/test/support/shared-realm.environment.ts',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': swc },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/**/*.spec.ts'],
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts'],
  coverageDirectory: 'coverage',
  testTimeout: 60_000,
  // Many tests wait for processes, leases and faults: also two processors have time for two of them.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  // One Postgres for the run, started by the first test that wants it: see test/support/test-postgres.ts.
  globalSetup: '<rootDir>/test/support/postgres-setup.ts',
  globalTeardown: '<rootDir>/test/support/postgres-teardown.ts',
};
