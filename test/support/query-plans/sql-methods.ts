import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const SOURCES = join(import.meta.dirname, '../../../src');

/** `queryRows` and the methods that call it: `ListQueries.run`, `UnitOfWork.statement`. */
const SENDS_SQL = /queryRows|ListQueries|unitOfWork\.statement/;

type Method = (...parameters: unknown[]) => unknown;
type Class = (abstract new (...parameters: never[]) => object) & {
  readonly prototype: Record<string, Method>;
};

/** Records which methods of classes that send SQL have not been called. */
export class SqlMethods {
  private readonly uncalled = new Set<string>();

  /** Call it before any of the methods: it wraps them. */
  static async watch(): Promise<SqlMethods> {
    const methods = new SqlMethods();
    for (const path of await readdir(SOURCES, { recursive: true })) {
      // Code in `database/` locks and notifies, and queries no table.
      if (!/^(?!database\/).*(?<!\.spec)\.ts$/.test(path)) continue;
      if (!SENDS_SQL.test(await readFile(join(SOURCES, path), 'utf8'))) continue;
      const module = (await import(join(SOURCES, path))) as Record<string, unknown>;
      Object.values(module)
        .filter(isClass)
        .forEach((each) => methods.wrap(each));
    }
    return methods;
  }

  /** `Class.method`, in order. */
  get unused(): string[] {
    return [...this.uncalled].sort();
  }

  private wrap({ name, prototype }: Class): void {
    for (const key of Object.getOwnPropertyNames(prototype).filter((key) => key !== 'constructor')) {
      // Not `prototype[key]`, which would call a getter.
      const method = Object.getOwnPropertyDescriptor(prototype, key)?.value as Method | undefined;
      if (typeof method !== 'function') continue;
      const { uncalled } = this;
      uncalled.add(`${name}.${key}`);
      prototype[key] = function (this: unknown, ...parameters: unknown[]): unknown {
        uncalled.delete(`${name}.${key}`);
        return method.apply(this, parameters);
      };
    }
  }
}

function isClass(value: unknown): value is Class {
  return typeof value === 'function' && value.toString().startsWith('class');
}
