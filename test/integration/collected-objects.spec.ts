import { describeOn } from '../support/storages.js';
import { collectedObjectsContract } from './collected-objects.contract.js';

describeOn('filesystem', 'the objects of collected blobs', collectedObjectsContract);
