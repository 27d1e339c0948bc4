import type { StoringStorageDriver } from '../../src/storage/driver-abilities.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';

/** Wraps a call by name: performs it later, in part, or not at all. */
export type Around = <T>(call: string, work: () => Promise<T>) => Promise<T>;

/** The same object, with some of its asynchronous methods wrapped in `around`. */
export function interposed<T extends object>(
  target: T,
  calls: readonly (keyof T & string)[],
  around: Around,
): T {
  return new Proxy(target, {
    get: (own, name): unknown => {
      const value: unknown = Reflect.get(own, name, own);
      if (typeof value !== 'function') return value;
      const call = calls.find((candidate) => candidate === name);
      const method = (...parameters: unknown[]): unknown => Reflect.apply(value, own, parameters);
      if (call === undefined) return method;
      return (...parameters: unknown[]) => around(call, () => method(...parameters) as Promise<unknown>);
    },
  });
}

/** A driver whose changes of the storage, sinks included, are wrapped in `around`. */
export function interposedDriver(driver: StorageDriver, around: Around): StorageDriver {
  const openUpload: StorageDriver['openUpload'] = async (...parameters) => {
    const sink = await driver.openUpload(...parameters);
    return interposed(sink, ['write', 'flush', 'close'], around);
  };
  const opening = overriding(driver, { openUpload });
  return interposed<StorageDriver & Partial<StoringStorageDriver>>(
    opening,
    ['openUpload', 'fenceUpload', 'finishUpload', 'storeUpload', 'abortUpload', 'delete'],
    around,
  );
}

/** The same object with some methods replaced. */
export function overriding<T extends object>(
  target: T,
  others: { readonly [K in keyof T]?: T[K] | undefined },
): T {
  return new Proxy(target, {
    get: (own, name): unknown => {
      if (name in others) return Reflect.get(others, name);
      const value: unknown = Reflect.get(own, name, own);
      return typeof value === 'function'
        ? (...parameters: unknown[]): unknown => Reflect.apply(value, own, parameters)
        : value;
    },
  });
}
