import type { LimitResult } from '../limits/limit.js';
import { markdownTable, numberText } from './table.js';

/** The limits of every server on this machine, and of the generator. */
export function limitTable(results: readonly LimitResult[]): string {
  return markdownTable(
    ['limits', 'unit', 'figure', 'generator’s share of a core'],
    results.map(({ name, unit, value, generatorCpu }) => [
      name,
      unit,
      numberText(value),
      generatorCpu === undefined ? '—' : `${Math.round(generatorCpu * 100)} %`,
    ]),
  );
}
