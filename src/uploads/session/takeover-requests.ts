import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Replica } from '../../common/replica.js';
import { DatabaseListener } from '../../database/connection/database-listener.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { parseUploadId } from '../../oci/upload-id.js';
import { ActiveWriters } from './active-writers.js';
import { DATABASE_PATIENCE_MS } from './database-patience.js';
import type { UploadSession } from './upload-session.js';

/** `<upload id> <version>`: whoever writes to it with that version, or an older one, is to let go. */
const WANTED = 'berth_upload_wanted';

/** A message can get lost, and a process can end. */
const ASK_AGAIN_MS = 1_000;

/** Between two looks at the row. Letting go takes a flush and an UPDATE, mostly; where it takes longer, many may be waiting. */
const PAUSE_MS = { first: 30, most: 400, growth: 1.5 };

/** The writer that is in the way, as it was seen last. */
export interface Conflict {
  readonly with: UploadSession;
  /** Whether its process has ended, as far as anybody can tell. */
  readonly isGone: boolean;
  readonly askedAt: number;
  readonly pauseMs: number;
}

/** Asks whoever writes to a session to let go, in whichever process that is. */
@Injectable()
export class TakeoverRequests {
  constructor(
    private readonly writers: ActiveWriters,
    private readonly listener: DatabaseListener,
    private readonly replica: Replica,
  ) {
    listener.on(WANTED, (payload) => {
      const [id = '', version] = payload.split(' ');
      void this.writers.interrupt(parseUploadId(id), Number(version), 0);
    });
  }

  /**
   * Asks the writer that `session` was seen with to let go, and gives it a moment to do so. `before` is what this answered the last time; the
   * same writer is not asked each time.
   */
  async ask(session: UploadSession, before: Conflict | undefined): Promise<Conflict> {
    const { id, version, leaseHolder } = session;
    const isKnown = before?.with.version === version;
    const conflict: Conflict = {
      with: session,
      isGone: false,
      askedAt: isKnown ? before.askedAt : -Infinity,
      pauseMs: isKnown ? Math.min(before.pauseMs * PAUSE_MS.growth, PAUSE_MS.most) : PAUSE_MS.first,
    };
    if (leaseHolder === null) return conflict;
    if (leaseHolder !== this.replica.name) return this.askElsewhere(leaseHolder, conflict);
    if (this.writers.has(id, version)) await this.writers.interrupt(id, version, conflict.pauseMs);
    // Seen twice without a writer: its lease could not be released. Seen once, a request may be just about to register.
    else if (isKnown) return { ...conflict, isGone: true };
    else await delay(conflict.pauseMs);
    return conflict;
  }

  private async askElsewhere(holder: string, conflict: Conflict): Promise<Conflict> {
    let { askedAt } = conflict;
    if (performance.now() - askedAt >= ASK_AGAIN_MS) {
      const { id, version } = conflict.with;
      const isPresent = await outlastOutage(DATABASE_PATIENCE_MS, async () => {
        if (!(await this.listener.isPresent(holder))) return false;
        await this.listener.notify(WANTED, `${id} ${version}`);
        return true;
      });
      if (!isPresent) return { ...conflict, isGone: true };
      askedAt = performance.now();
    }
    await delay(conflict.pauseMs);
    return { ...conflict, askedAt };
  }
}
