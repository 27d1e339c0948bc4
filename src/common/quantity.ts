const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `1 layer`, `2 layers`. */
export function quantity(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Bytes for people, with two or three digits: `999 B`, `2.4 MB`, `24 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // From here on, three digits would round up to the next unit.
  for (; value >= 999.5 && unit < UNITS.length - 1; unit += 1) value /= 1000;
  return `${threeDigits(value, unit === 0)} ${UNITS[unit] ?? ''}`;
}

/** A duration for people: `0.4 ms`, `24 ms`, `2.4 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${threeDigits(milliseconds, false)} ms`;
  return `${threeDigits(milliseconds / 1000, false)} s`;
}

function threeDigits(value: number, isWhole: boolean): string {
  return value < 9.95 && !isWhole ? value.toFixed(1) : value.toFixed(0);
}
