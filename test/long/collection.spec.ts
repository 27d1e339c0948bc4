import 'reflect-metadata';
import { describe } from '@jest/globals';
import { SHORT_COLLECTION } from '../collection/collection-settings.js';
import { itCollects } from '../collection/it-collects.js';

// `npm run test:collection` is the long run.
describe('Replicas that collect while clients push, delete and restore', () => {
  itCollects(SHORT_COLLECTION);
});
