import { RegistryError } from '../oci/errors.js';

/**
 * Each time, the manifest of this reference was deleted before its bytes could be read. It is not known
 * whether the reference exists now; a retry tells.
 */
export class ManifestUnsettledError extends RegistryError {
  constructor(reference: string) {
    super('MANIFEST_UNKNOWN', `${reference} is being replaced faster than it can be read`);
  }
}
