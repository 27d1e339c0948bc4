import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';

/** A shell that ends may signal its jobs before its terminal closes. */
const CLOSING_MS = 500;

/**
 * SIGHUP has two senders: an operator who wants new processes from the code on disk, and a terminal that
 * closes. It was the terminal if this process was started in one, and that is gone now.
 */
export class HangUps {
  private readonly hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  private restart: (() => void) | undefined;
  private isWaiting = false;

  /** Handles SIGHUP from now on. @param onTerminalClosed must end the process. */
  constructor(private readonly onTerminalClosed: () => void) {
    process.on('SIGHUP', () => void this.take());
  }

  /** Calls `restart` for each SIGHUP of an operator, and now if there was one already. */
  onRestart(restart: () => void): void {
    this.restart = restart;
    if (this.isWaiting) restart();
  }

  private async take(): Promise<void> {
    if (this.hasTerminal) await delay(CLOSING_MS);
    if (this.hasTerminal && isTerminalGone()) this.onTerminalClosed();
    else if (this.restart === undefined) this.isWaiting = true;
    else this.restart();
  }
}

/** The terminal that controls this process can't be opened after it was closed. */
function isTerminalGone(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY));
    return false;
  } catch {
    return true;
  }
}
