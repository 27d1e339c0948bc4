import type { Configuration } from './configuration.js';
import type { InvalidSettings } from './invalid-settings.js';

/** Refuses settings of TLS that contradict each other: one of them would have no effect. */
export function checkTls(configuration: Configuration, invalid: InvalidSettings): void {
  const { tlsMode, tlsCertFile, tlsKeyFile, tlsNames } = configuration;
  const files = [tlsCertFile, tlsKeyFile].filter((file) => file !== undefined).length;
  if (tlsMode === 'files' && files !== 2) {
    invalid.add(
      ['TLS', 'TLS_CERT_FILE', 'TLS_KEY_FILE'],
      'TLS=files requires both TLS_CERT_FILE and TLS_KEY_FILE',
    );
  }
  if (tlsMode !== 'files' && files > 0) {
    invalid.add(
      ['TLS', 'TLS_CERT_FILE', 'TLS_KEY_FILE'],
      `TLS_CERT_FILE and TLS_KEY_FILE require TLS=files, and TLS is ${tlsMode}: set both, or neither`,
    );
  }
  if (tlsMode !== 'auto' && tlsNames.length > 0) {
    invalid.add(['TLS', 'TLS_NAMES'], `TLS_NAMES requires TLS=auto, and TLS is ${tlsMode}`);
  }
}
