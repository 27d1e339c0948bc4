import { Transform } from 'class-transformer';
import { buildMessage, ValidateBy } from 'class-validator';

export interface IntegerRange {
  /** What is counted, for the message: `a number of seconds`. */
  readonly what: string;
  readonly min: number;
  readonly max: number;
  /** What 0 stands for, where it is special. */
  readonly zero?: string;
}

/** An integer within a range, written in decimal digits: `0x10`, `1e3` and `1.5` are refused. */
export function Integer(range: IntegerRange): PropertyDecorator {
  const isInRange = (value: unknown): boolean =>
    Number.isSafeInteger(value) && Number(value) >= range.min && Number(value) <= range.max;
  const message = buildMessage(() => expectation(range));
  const isValid = ValidateBy({
    name: 'integer',
    validator: { validate: isInRange, defaultMessage: message },
  });
  const convert = Transform(({ value }: { value: unknown }) => parseDecimal(value));
  return (target, property) => {
    convert(target, property);
    isValid(target, property);
  };
}

/** The number that a text of decimal digits stands for; anything else is returned as it is. */
export function parseDecimal(value: unknown): unknown {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}

function expectation({ what, min, max, zero }: IntegerRange): string {
  return `expected ${what} from ${min} to ${max}${zero === undefined ? '' : ` (0: ${zero})`}`;
}
