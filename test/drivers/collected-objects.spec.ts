import { collectedObjectsContract } from '../integration/collected-objects.contract.js';
import { describeOnObjectStores } from '../support/storages.js';

describeOnObjectStores('the objects of collected blobs', collectedObjectsContract);
