import { Injectable } from '@nestjs/common';
import { AccessEpoch, OUTAGE_MS } from '../accounts/rights/access-epoch.js';
import { outlastOutage } from '../database/outlast-outage.js';
import { importKey, type PublicJwk, type SigningKey } from './signing-key.js';
import { SigningKeyStore } from './signing-key.store.js';

/** Tokens with made-up keys cause at most one statement in this time. */
const READ_AGAIN_AFTER_MS = 2_000;

/** The keys that this process knows. */
interface Keys {
  /** The epoch that was known before they were read. Each change of keys raises it. */
  readonly epoch: number;
  readonly readAt: number;
  readonly issuer: string;
  /** By `kid`, earliest first. */
  readonly byId: ReadonlyMap<string, SigningKey>;
}

/**
 * The signing keys, read again whenever the epoch of rights has risen: a deleted key is refused as fast as a
 * deleted account.
 */
@Injectable()
export class KeyRing {
  private keys: Keys | undefined;
  private reading: { readonly epoch: number; readonly keys: Promise<Keys> } | undefined;

  constructor(
    private readonly store: SigningKeyStore,
    private readonly epoch: AccessEpoch,
  ) {}

  /** `iss` of the tokens of this installation. */
  async issuer(): Promise<string> {
    return (await this.current()).issuer;
  }

  /**
   * The key with an id. Another process may have made it a moment ago, so an unknown id makes this process
   * read the table again, but rarely: anybody can send such an id.
   */
  async find(kid: string): Promise<SigningKey | undefined> {
    const keys = await this.current();
    const key = keys.byId.get(kid);
    if (key !== undefined || performance.now() - keys.readAt < READ_AGAIN_AFTER_MS) return key;
    return (await this.read(keys.epoch)).byId.get(kid);
  }

  /** The key that signs now: the latest one whose time has come. Undefined if there is no key. */
  async signer(): Promise<SigningKey | undefined> {
    const keys = [...(await this.current()).byId.values()];
    // A clock that is behind that of the database finds no key at first.
    return keys.findLast(({ signsFrom }) => signsFrom.getTime() <= Date.now()) ?? keys[0];
  }

  async publicKeys(): Promise<PublicJwk[]> {
    return [...(await this.current()).byId.values()].map(({ jwk }) => jwk);
  }

  private async current(): Promise<Keys> {
    const epoch = this.epoch.fresh ?? (await this.epoch.current());
    return this.keys?.epoch === epoch ? this.keys : this.read(epoch);
  }

  /** Concurrent calls with an epoch share one statement. It must begin after the epoch was read. */
  private read(epoch: number): Promise<Keys> {
    if (this.reading?.epoch === epoch) return this.reading.keys;
    const keys = this.readOnce(epoch).finally(() => {
      if (this.reading?.keys === keys) this.reading = undefined;
    });
    this.reading = { epoch, keys };
    return keys;
  }

  private async readOnce(epoch: number): Promise<Keys> {
    const readAt = performance.now();
    const { issuer, keys } = await outlastOutage(OUTAGE_MS, () => this.store.read());
    const known = this.keys?.byId;
    const imported = await Promise.all(
      keys.map(async ({ signsFrom, ...stored }) => {
        const { kid } = stored;
        return [kid, { ...(known?.get(kid) ?? (await importKey(stored))), signsFrom }] as const;
      }),
    );
    return (this.keys = { epoch, readAt, issuer, byId: new Map(imported) });
  }
}
