/** The definition of a metric. */
export interface MetricOptions<Label extends string> {
  readonly name: string;
  /** One sentence for operators, without a full stop. */
  readonly help: string;
  /** Their values must be few. Never what clients choose: repositories, digests, addresses, users. */
  readonly labelNames?: readonly Label[];
}

export type Labels<Label extends string> = Partial<Record<Label, string>>;

/** The values by the names of the labels. */
export function labelsOf<Label extends string>(
  { labelNames = [] }: Pick<MetricOptions<Label>, 'labelNames'>,
  values: readonly string[],
): Labels<Label> {
  const entries = labelNames.map((name, index) => [name, values[index] ?? '']);
  // The type of `fromEntries` forgets the names.
  return Object.fromEntries(entries) as Labels<Label>;
}
