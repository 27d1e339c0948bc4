import { AsyncLocalStorage } from 'node:async_hooks';
import { TestEnvironment } from 'jest-environment-node';

const SHARED = [
  ...[
    'Error',
    'AggregateError',
    'EvalError',
    'RangeError',
    'ReferenceError',
    'SyntaxError',
    'TypeError',
    'URIError',
  ],
  ...[
    'Int8Array',
    'Uint8ClampedArray',
    'Int16Array',
    'Uint16Array',
    'Int32Array',
    'Uint32Array',
    'Float32Array',
  ],
  ...['Float64Array', 'BigInt64Array', 'BigUint64Array', 'DataView', 'Date'],
] as const;

/**
 * Runs tests with the errors, typed arrays and dates of Node itself. By default each test file has its own,
 * so that `instanceof Error` is false for an error of Node's. Errors that the engine throws within a test
 * file keep the prototypes of the file, which therefore inherit from those of Node.
 */
export default class SharedRealmEnvironment extends TestEnvironment {
  private readonly storages = new Set<AsyncLocalStorage<unknown>>();
  private readonly run = AsyncLocalStorage.prototype.run;

  constructor(...args: ConstructorParameters<typeof TestEnvironment>) {
    super(...args);
    for (const name of SHARED) {
      const own = this.global[name].prototype as object;
      const shared = globalThis[name].prototype as object;
      Object.setPrototypeOf(own, shared);
      Reflect.set(this.global, name, globalThis[name]);
    }
    const [{ globalConfig }] = args;
    Reflect.set(this.global, 'nodeGlobal', globalConfig.collectCoverage ? this.global : globalThis);
    this.watchStorages();
  }

  override async teardown(): Promise<void> {
    await super.teardown();
    AsyncLocalStorage.prototype.run = this.run;
    for (const storage of this.storages) storage.disable();
  }

  /**
   * Each test file has an `AsyncLocalStorage` of Jest's. Until Node 24, every promise of a process costs time
   * and memory for each storage that was used and not disabled: for those of all earlier files.
   */
  private watchStorages(): void {
    const { run, storages } = this;
    Object.assign(AsyncLocalStorage.prototype, {
      run(this: AsyncLocalStorage<unknown>, ...call: Parameters<typeof run>): unknown {
        storages.add(this);
        return run.apply(this, call);
      },
    });
  }
}
