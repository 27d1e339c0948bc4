import { InitialSchema1763900000000 } from './1763900000000-initial-schema.js';

/** In the order in which they run. */
export const MIGRATIONS = [InitialSchema1763900000000];
