import { reaperContract } from '../integration/reaper.contract.js';
import { replicasContract } from '../integration/replicas.contract.js';
import { describeOnObjectStores } from '../support/storages.js';

describeOnObjectStores('replicas', replicasContract);
describeOnObjectStores('the reaper', reaperContract);
