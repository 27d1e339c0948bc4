import 'reflect-metadata';
import { describe } from '@jest/globals';
import { describeWithRadosgw } from '../support/radosgw.js';
import { itCollects } from './it-collects.js';
import { collectionSettings } from './collection-settings.js';

const settings = collectionSettings(process.env);
const describing = settings.storage === 's3' ? describeWithRadosgw : describe;

describing(`Replicas that collect while clients push, delete and restore: ${settings.storage}`, () => {
  itCollects(settings);
});
