import type { Duplex } from 'node:stream';
import pg from 'pg';
import { settlesWithin } from '../../common/settles-within.js';
import { ConnectionLostError, isDatabaseUnavailable } from '../errors/database-errors.js';

type Connected = ((error: Error) => void) | ((error: null, client: pg.Client) => void);

/**
 * A connection that may be lost at any moment.
 *
 * - Between the pool's listener for its `error` event and TypeORM's there is a gap in which nobody listens; an event there, a server that is
 *   stopped for instance, would end the process. Queries on it reject all the same.
 * - A socket that is reset during the handshake fails with a bare `ECONNRESET`, which could be anybody's: it is given a name.
 */
export class SurvivingClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }

  /** Ends the connection in order, and where the other end doesn't take part, without it. Never rejects. */
  async endWithin(milliseconds: number): Promise<void> {
    const ended = this.end().catch(() => undefined);
    if (!(await settlesWithin(ended, milliseconds))) {
      const { connection } = this as unknown as { connection: { stream: Duplex } };
      connection.stream.destroy();
    }
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.Client> | undefined {
    if (callback === undefined) {
      return super.connect().catch((error: unknown) => {
        throw named(error);
      });
    }
    // The pool's way: with nothing, where it is connected.
    super.connect((error: unknown) => (callback as (outcome: unknown) => void)(named(error)));
    return undefined;
  }
}

function named(error: unknown): unknown {
  const isSilent = typeof error === 'object' && error !== null && !('severity' in error);
  return isSilent && !isDatabaseUnavailable(error) ? new ConnectionLostError(error) : error;
}
