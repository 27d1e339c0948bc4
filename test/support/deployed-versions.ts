import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtMain } from './built-berth.js';

/** Versions of Berth in directories of their own, with a link to the current one: see docs/operations.md. */
export class DeployedVersions {
  private count = 0;
  /** The main file of the current version. */
  readonly main: string;

  private constructor(
    private readonly directory: string,
    private readonly built: string,
  ) {
    this.main = join(directory, 'current/dist/src/main.js');
  }

  static async in(directory: string): Promise<DeployedVersions> {
    const versions = new DeployedVersions(directory, await builtMain());
    await versions.use(join(versions.built, '../../..'));
    return versions;
  }

  /** Makes a version the current one that runs `code` before Berth's own main file, if that is run at all. */
  async deploy(code: string, { runsBerth = true } = {}): Promise<void> {
    const version = join(this.directory, `version-${(this.count += 1)}`);
    await mkdir(join(version, 'dist/src'), { recursive: true });
    await writeFile(join(version, 'package.json'), '{"type":"module"}');
    const berth = runsBerth ? `await import('${pathToFileURL(this.built).href}');` : '';
    await writeFile(join(version, 'dist/src/main.js'), `${code}\n${berth}\n`);
    await this.use(version);
  }

  /** Deploys a version that has one more migration. */
  deployMigration(name: string, sql: string): Promise<void> {
    const list = pathToFileURL(join(this.built, '../database/migrations/index.js')).href;
    return this.deploy(`
      const { MIGRATIONS } = await import('${list}');
      MIGRATIONS.push(class {
        name = '${name}';
        async up(runner) { await runner.query('${sql}'); }
        async down() {}
      });`);
  }

  /** As `ln -sfn` does: at no time is there no version. */
  private async use(version: string): Promise<void> {
    const link = join(this.directory, 'next');
    await symlink(version, link);
    await rename(link, join(this.directory, 'current'));
  }
}
