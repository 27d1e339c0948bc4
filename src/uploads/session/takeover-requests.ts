import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Replica } from '../../common/replica.js';
import { DatabaseListener } from '../../database/connection/database-listener.js';
import { parseUploadId } from '../../oci/upload-id.js';
import { ActiveWriters } from './active-writers.js';
import { retryDuringOutage } from './upload-row.js';
import type { UploadSession } from './upload-session.js';

/** NOTIFY channel. Payload: `<upload id> <version>`; writers up to that version must release the session. */
const CHANNEL = 'berth_upload_wanted';

/** Requests are repeated: a notification can be lost, and a process can end. */
const REPEAT_MS = 1_000;

/**
 * Between two reads of the row. A release usually takes a flush and an UPDATE; if it takes longer, many may
 * be waiting.
 */
const PAUSE_MS = { first: 30, max: 400, growth: 1.5 };

/** The writer that holds the session, as it was last seen. */
export interface Conflict {
  readonly with: UploadSession;
  /** Whether its process has ended, as far as this one can tell. */
  readonly isGone: boolean;
  /** When this request found it first, on the clock of `performance.now()`. */
  readonly since: number;
  readonly askedAt: number;
  readonly pauseMs: number;
}

/** Asks the writer of a session to release it, in whichever process it is. */
@Injectable()
export class TakeoverRequests {
  constructor(
    private readonly writers: ActiveWriters,
    private readonly listener: DatabaseListener,
    private readonly replica: Replica,
  ) {
    listener.on(CHANNEL, (payload) => {
      const [id = '', version] = payload.split(' ');
      void this.writers.interrupt(parseUploadId(id), Number(version), 0);
    });
  }

  /**
   * Asks the writer that `session` was seen with to release it, and waits a moment.
   *
   * @param previous what this returned the last time, so that one writer is not asked every time.
   */
  async ask(session: UploadSession, previous: Conflict | undefined): Promise<Conflict> {
    const { id, version, leaseHolder } = session;
    const isKnown = previous?.with.version === version;
    const conflict: Conflict = {
      with: session,
      isGone: false,
      since: isKnown ? previous.since : performance.now(),
      askedAt: isKnown ? previous.askedAt : -Infinity,
      pauseMs: isKnown ? Math.min(previous.pauseMs * PAUSE_MS.growth, PAUSE_MS.max) : PAUSE_MS.first,
    };
    if (leaseHolder === null) return conflict;
    if (leaseHolder !== this.replica.name) return this.askOtherProcess(leaseHolder, conflict);
    if (this.writers.has(id, version)) await this.writers.interrupt(id, version, conflict.pauseMs);
    // Twice without a writer: its lease could not be released. Once: a request may be about to register.
    else if (isKnown) return { ...conflict, isGone: true };
    else await delay(conflict.pauseMs);
    return conflict;
  }

  private async askOtherProcess(holder: string, conflict: Conflict): Promise<Conflict> {
    let { askedAt } = conflict;
    if (performance.now() - askedAt >= REPEAT_MS) {
      const { id, version } = conflict.with;
      const isPresent = await retryDuringOutage(async () => {
        if (!(await this.listener.isPresent(holder))) return false;
        await this.listener.notify(CHANNEL, `${id} ${version}`);
        return true;
      });
      if (!isPresent) return { ...conflict, isGone: true };
      askedAt = performance.now();
    }
    await delay(conflict.pauseMs);
    return { ...conflict, askedAt };
  }
}
