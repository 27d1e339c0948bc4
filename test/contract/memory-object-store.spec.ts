import { describe } from '@jest/globals';
import { MemoryBucket, MemoryObjectStore } from '../support/memory-object-store.js';
import { describeObjectStoreContract } from './object-store.contract.js';

/** The in-memory bucket stands in for real stores in other tests, so it must keep the same contract. */
describe.each([
  { name: 'memory, as S3', leavesPartsOut: true },
  { name: 'memory, as Ceph', leavesPartsOut: false },
])('$name', ({ name, leavesPartsOut }) =>
  describeObjectStoreContract(name, () => {
    const bucket = new MemoryBucket();
    const open = (prefix: string) => new MemoryObjectStore(bucket, leavesPartsOut, prefix);
    return Promise.resolve({
      store: open(''),
      traits: {
        partBytes: 1000,
        pageSize: 5,
        listsMultiparts: true,
        knowsMultiparts: true,
        comparesMd5: true,
        maxNameBytes: undefined,
      },
      open: (prefix) => Promise.resolve(open(prefix)),
      dispose: () => Promise.resolve(),
    });
  }),
);
