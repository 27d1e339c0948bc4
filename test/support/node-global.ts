/**
 * The global object that `src` sees in the tests of `test/`. It is Node's own: see
 * `native-modules.runtime.cjs`. To replace a timer in `src`, spy on this object.
 */
export const nodeGlobal = Reflect.get(globalThis, 'nodeGlobal') as typeof globalThis;
