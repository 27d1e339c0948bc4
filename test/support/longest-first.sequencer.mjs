import { sep } from 'node:path';
import Sequencer from '@jest/test-sequencer';

/** The longest spec files of each run, the longest ones first. */
const LONGEST = [
  // Only one of the first three needs the built program, which takes some seconds to build.
  ...[
    'process/workers',
    'integration/schema',
    'property/front-uploads',
    'property/upload-races',
    'process/stop',
    'e2e/faults',
    'e2e/tls',
  ],
  ...[
    'contract/filesystem-driver',
    'process/frozen-writer',
    'integration/upload-slow-clients',
    'integration/upload-restarts',
  ],
  ...['process/boot', 'process/first-run', 'process/refusals', 'integration/access-table'],
  ...[
    'drivers/s3-driver',
    'drivers/gcs-faults',
    'drivers/object-store-faults',
    'drivers/replicas-and-reaper',
  ],
  ...['drivers/s3-kills', 'drivers/s3-retries', 'drivers/s3-object-store', 'drivers/gcs-driver'],
  ...['drivers/object-store-requests', 'drivers/azure-driver', 'drivers/azure-object-store'],
  ...[
    'long/slow-layers',
    'long/properties',
    'long/front-properties',
    'long/large-bodies',
    'long/restart',
    'long/workers',
    'long/kill',
    'long/embedded-postgres',
    'long/bench',
    'long/stop',
  ],
  ...[
    'interop/logins',
    'interop/nginx',
    'interop/swagger-ui',
    'interop/partial-pulls',
    'interop/podman',
    'interop/skopeo',
  ],
].map((name) => ['', 'test', `${name}.spec.ts`].join(sep).replaceAll('/', sep));

/**
 * Jest knows how long a file takes from earlier runs. In a first run, as in CI, it begins with the largest
 * files, and small ones that take minutes would be last, on one processor.
 */
export default class LongestFirstSequencer extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted;
    const rank = ({ path }) => {
      const index = LONGEST.findIndex((name) => path.endsWith(name));
      return index < 0 ? LONGEST.length : index;
    };
    return sorted
      .map((test) => [rank(test), test])
      .sort(([a], [b]) => a - b)
      .map(([, test]) => test);
  }
}
