import { RegistryError } from '../oci/errors.js';

/** Whatever the reference pointed at was deleted each time before its bytes could be read. Whether there is such a manifest isn't known. */
export class ManifestUnsettledError extends RegistryError {
  constructor(reference: string) {
    super('MANIFEST_UNKNOWN', `${reference} is being replaced faster than it can be read`, {
      status: 503,
      headers: { 'Retry-After': '1' },
    });
  }
}
