import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const BUILDING = 'Building Berth.';
const FILES = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts'];

let project: string;
let children: ChildProcess[];

/** A small project with Berth's own scripts and settings of the compiler. */
beforeEach(async () => {
  children = [];
  project = await mkdtemp(join(tmpdir(), 'berth-start-'));
  for (const name of FILES) await cp(join(ROOT, name), join(project, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(project, 'node_modules'));
  await write('ormconfig.ts', 'export default 0;\n');
  await serve('one');
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(project, { recursive: true, force: true });
});

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(project, path)), { recursive: true });
  await writeFile(join(project, path), text);
}

/** Makes the program print `text`, and then run until a signal stops it with exit code 0. */
async function serve(text: string): Promise<void> {
  await write('src/text.ts', `export const text: string = '${text}';\n`);
  await write(
    'src/main.ts',
    `import { text } from './text.js';
     process.on('SIGTERM', () => process.exit(0)).on('SIGINT', () => process.exit(0));
     setInterval(() => undefined, 1000);
     console.log('serves', text);`,
  );
}

class Start {
  output = '';
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor() {
    this.child = spawn('npm', ['start', '--silent'], { cwd: project, detached: true });
    children.push(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  async prints(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      const isOver = await Promise.race([this.ended.then(() => true), once(this.child.stdout!, 'data')]);
      if (isOver === true && !this.output.includes(text)) throw new Error(`ended: ${this.output}`);
    }
  }

  /** To npm alone, as a supervisor sends it, or to every process, as Ctrl-C does. */
  async stop(signal: 'SIGTERM' | 'SIGINT'): Promise<number | null> {
    process.kill(signal === 'SIGINT' ? -this.child.pid! : this.child.pid!, signal);
    return this.ended;
  }
}

/** Starts, stops, and returns what was printed. */
async function startAndStop(text: string, signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<string> {
  const start = new Start();
  await start.prints(`serves ${text}`);
  expect(await start.stop(signal)).toBe(0);
  return start.output;
}

it('builds only at the first start and after changes', async () => {
  expect(await startAndStop('one')).toMatch(/^Building Berth\. .+\nBuilt in \d+\.\d s\.\nserves one\n$/);
  expect(await startAndStop('one', 'SIGINT')).toBe('serves one\n');
  await serve('two');
  expect(await startAndStop('two')).toContain(BUILDING);
  // Something else wrote to dist/, for example a build that was interrupted.
  await write('dist/src/text.js', "export const text = '");
  expect(await startAndStop('two')).toContain(BUILDING);
  await rm(join(project, 'dist/src/main.js'));
  expect(await startAndStop('two')).toContain(BUILDING);
  expect(await startAndStop('two')).toBe('serves two\n');
});

it('builds again after a build that was killed', async () => {
  const first = new Start();
  await first.prints(BUILDING);
  await first.stop('SIGINT');
  expect(first.output).not.toContain('serves');
  expect(await startAndStop('one')).toContain(BUILDING);
});

it('can build twice at the same time', async () => {
  const starts = [new Start(), new Start()];
  for (const start of starts) await start.prints('serves one');
  for (const start of starts) expect(await start.stop('SIGTERM')).toBe(0);
});

it('does not start with a syntax error, and reports its position', async () => {
  await write('src/text.ts', 'export const = 1;\n');
  const start = new Start();
  expect(await start.ended).toBe(1);
  expect(start.output).toMatch(/can't be built: src\/text\.ts\(1,14\): error TS1134/);
  expect(await readFile(join(project, 'dist/src/text.js'), 'utf8').catch(() => 'none')).toBe('none');
});
