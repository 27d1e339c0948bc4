/**
 * Every advisory lock of Berth. Most are a 64-bit hash of a text, and each kind has its own seed, so that
 * equal texts of two kinds are two locks. The numbers must not change: replicas of other versions run beside
 * this one and use them. Seed 1 was also that of tags, until they were locked by their rows; a tag's text
 * can't equal a process's name.
 */
const SEEDS = {
  /** The commits of one content, by its canonical digest. */
  content: 0,
  /** A process that runs, by its name. */
  process: 1,
  /** Work that one process does at a time, by its name. */
  task: 2,
} as const;

/** The key of a lock, as an SQL expression. @param text an SQL expression, a parameter for instance. */
export function advisoryLockKey(kind: keyof typeof SEEDS, text: `$${number}`): string {
  return `hashtextextended(${text}, ${SEEDS[kind]})`;
}

/** The key of the lock that is held during migrations: the letters "berth" in hexadecimal. */
export const MIGRATION_LOCK_KEY = 0x6265727468;
