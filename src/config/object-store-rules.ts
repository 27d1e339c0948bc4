import type { IsUrl } from 'class-validator';
import type { Configuration } from './configuration.js';
import { Integer } from './integer.js';
import type { InvalidSettings } from './invalid-settings.js';

const MIB = 1024 * 1024;

export const DEFAULT_PART_SIZE_BYTES = 8 * MIB;

/** How long a redirected client has to start its download. A download in progress continues after that. */
export const SIGNED_URL_SECONDS = 15 * 60;

/** Bytes that a client was redirected to must not be deleted before it starts to download them. */
export function checkReadWindow(configuration: Configuration, invalid: InvalidSettings): void {
  const { storageDriver, storageRedirect, gcReadWindowSeconds } = configuration;
  const canRedirect = ['s3', 'azure', 'gcs'].includes(storageDriver) && storageRedirect;
  if (!canRedirect || gcReadWindowSeconds >= SIGNED_URL_SECONDS) return;
  invalid.add(
    ['GC_READ_WINDOW_SECONDS', 'STORAGE_REDIRECT'],
    `GC_READ_WINDOW_SECONDS is shorter than the ${SIGNED_URL_SECONDS} s that a redirected client has to ` +
      `start its download: expected at least ${SIGNED_URL_SECONDS}, or STORAGE_REDIRECT=false`,
  );
}

/** Size of the parts of a layer. S3 requires at least 5 MiB. */
export const PartSize = () => Integer({ what: 'a number of bytes', min: 5 * MIB, max: 1024 * MIB });

export const ENDPOINT_URL = {
  options: {
    protocols: ['http', 'https'],
    require_protocol: true,
    require_tld: false,
    // Docker Compose's names of containers have underscores.
    allow_underscores: true,
    allow_query_components: false,
    allow_fragments: false,
    disallow_auth: true,
  } satisfies Parameters<typeof IsUrl>[0],
  expected: 'expected http://host or https://host, without credentials',
};

export const OBJECT_PREFIX = {
  pattern: /^(?!.*(^|\/)\.{1,2}\/)([A-Za-z0-9._-]+\/)*$/,
  expected:
    'expected nothing, or segments of letters, digits, dots, dashes and underscores, each ending in a slash',
};
