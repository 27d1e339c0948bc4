import { describeOn } from '../support/storages.js';
import { replicasContract } from './replicas.contract.js';

describeOn('filesystem', 'replicas', replicasContract);
