import type { DataSource } from 'typeorm';

/** How the schema of a database differs from the one that this code knows: names of migrations. */
export interface SchemaComparison {
  /** Migrations of this code that have not run. */
  readonly missing: string[];
  /** Migrations that have run, and that this code does not know: they are of a newer version. */
  readonly unknown: string[];
}

/** @param applied the names in the table `migrations`. */
export function compareSchema(
  { migrations }: Pick<DataSource, 'migrations'>,
  applied: readonly string[],
): SchemaComparison {
  const known = migrations.map(({ name, constructor }) => name ?? constructor.name);
  return {
    missing: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}
