import { isLoopback } from '../common/loopback.js';
import type { Configuration } from './configuration.js';
import type { InvalidSettings } from './invalid-settings.js';

/** Refuses settings of a front that would leave it without replicas, or its clients without TLS. */
export function checkFront(configuration: Configuration, invalid: InvalidSettings): void {
  const { role, frontReplicas, tls, tlsMode, host } = configuration;
  if (role !== 'front') return;
  if (frontReplicas.length === 0) {
    invalid.add(
      ['ROLE', 'FRONT_REPLICAS'],
      'ROLE=front requires FRONT_REPLICAS, the origins of its replicas',
    );
  }
  if (tlsMode === 'auto') {
    invalid.add(
      ['ROLE', 'TLS'],
      tls === 'auto' || isLoopback(host)
        ? 'ROLE=front can not have TLS=auto, since the authority is in the database: use TLS=files'
        : 'ROLE=front on a network requires TLS_CERT_FILE and TLS_KEY_FILE; or TLS=off, and passwords ' +
            'cross the network in clear text unless a proxy in front of it ends TLS',
    );
  }
}
