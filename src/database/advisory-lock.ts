/**
 * All advisory locks of Berth. The key of most is a 64-bit hash of a text. Each kind has its own seed, so
 * equal texts of two kinds are two locks. The numbers must not change, because replicas of other versions use
 * them at the same time. Earlier versions used seed 1 for tags, too; no tag equals the name of a process.
 */
const SEEDS = {
  /** Commits of the same content, by its canonical digest. */
  content: 0,
  /** A running process, by its name. */
  process: 1,
  /** A task that one process runs at a time, by its name. */
  task: 2,
} as const;

/** The key of a lock as an SQL expression. @param text the SQL parameter that holds the text. */
export function advisoryLockKey(kind: keyof typeof SEEDS, text: `$${number}`): string {
  return `hashtextextended(${text}, ${SEEDS[kind]})`;
}

/** The key of the lock that is held during migrations: the letters "berth" in hexadecimal. */
export const MIGRATION_LOCK_KEY = 0x6265727468;
