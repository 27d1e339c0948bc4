import { OpensslHasherFactory } from '../../src/uploads/hash/openssl-hasher.factory.js';
import { WasmHasherFactory } from '../../src/uploads/hash/wasm-hasher.factory.js';
import { hasherContract } from './hasher.contract.js';

hasherContract(
  'openssl',
  () => OpensslHasherFactory.load(),
  () => WasmHasherFactory.load(),
);
