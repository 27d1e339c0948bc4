import { availableParallelism } from 'node:os';
import { Transform } from 'class-transformer';
import { IsIn, ValidateBy, type ValidationArguments } from 'class-validator';
import { parseDecimal } from './integer.js';

const MAX_WORKERS = 64;

/** A number of processes, or `auto`. With `STORAGE_DRIVER=memory` only 1. */
export function IsNumberOfWorkers(): PropertyDecorator {
  const isOneWithMemory = ValidateBy({
    name: 'oneWithMemory',
    validator: {
      validate: (value: unknown, args?: ValidationArguments) =>
        value === 1 || (args?.object as { storageDriver?: unknown } | undefined)?.storageDriver !== 'memory',
      defaultMessage: () => 'expected 1 with STORAGE_DRIVER=memory: processes do not share memory',
    },
  });
  const isInRange = IsIn(['auto', ...Array.from({ length: MAX_WORKERS }, (_, index) => index + 1)], {
    message: `expected a number of processes from 1 to ${MAX_WORKERS}, or auto`,
  });
  const convert = Transform(({ value }: { value: unknown }) => parseDecimal(value));
  return (target, property) => {
    for (const decorate of [isOneWithMemory, isInRange, convert]) decorate(target, property);
  };
}

/** How many processes `auto` is: one per core. */
export function automaticWorkers(): number {
  return Math.min(availableParallelism(), MAX_WORKERS);
}
