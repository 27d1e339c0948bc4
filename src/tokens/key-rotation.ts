import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { AccessChanges } from '../accounts/rights/access-changes.js';
import { Configuration } from '../config/configuration.js';
import { PeriodicTask } from '../maintenance/periodic-task.js';
import { generateKey, importKey, type SigningKey } from './signing-key.js';
import { KEY_TIMES, SigningKeyStore } from './signing-key.store.js';

const INTERVAL_MS = 60 * 60 * 1000;

/**
 * Makes and deletes signing keys, in any process: it decides under the lock of changes of access, so of
 * several processes one makes the key.
 *
 *     key 1   signs ──────────────────────────┐ accepted ───► deleted
 *     key 2                        published ─┤ signs ──────────────────…
 *     day     0                              29  30                  33
 */
@Injectable()
export class KeyRotation implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(KeyRotation.name);
  private readonly task = new PeriodicTask({
    name: 'rotate signing keys',
    intervalMs: INTERVAL_MS,
    run: async () => {
      await this.run();
      return false;
    },
  });

  constructor(
    private readonly store: SigningKeyStore,
    private readonly changes: AccessChanges,
    private readonly configuration: Configuration,
  ) {}

  /** A process that starts on a new database makes the first key, so that no login waits for it. */
  async onModuleInit(): Promise<void> {
    if (this.configuration.access !== 'token') return;
    await this.run();
    this.task.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.task.stop();
  }

  /** For a process that knows no key: makes one, unless another process just did. */
  async firstKey(): Promise<SigningKey> {
    await this.run();
    const [first] = (await this.store.read()).keys;
    if (first === undefined) throw new Error('the signing key was deleted at the moment it was made');
    return { ...(await importKey(first)), signsFrom: first.signsFrom };
  }

  /** Makes the changes that are due. */
  async run(): Promise<void> {
    const expected = await this.store.due();
    if (expected.key === null && !expected.hasOld) return;
    const made = await generateKey();
    const { key } = await this.changes.run(async (transaction) => {
      const due = await this.store.dueIn(transaction);
      if (due.hasOld) await this.store.deleteOld(transaction);
      const signsInDays = due.key === 'first' ? 0 : KEY_TIMES.publishedBefore;
      if (due.key !== null) await this.store.insert(made, signsInDays, transaction);
      return due;
    });
    if (key !== null) this.logger.debug({ kid: made.kid, key }, 'made a signing key');
  }
}
