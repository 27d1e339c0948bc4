import { RegistryError } from '../oci/errors.js';

/** There is no authority to trust: TLS ends at a proxy, or the certificate is from `TLS_CERT_FILE`. */
export class NoAuthorityError extends RegistryError {
  constructor() {
    super('UNSUPPORTED', 'this registry has no certificate authority of its own: TLS is not auto');
  }
}
