// `npm start` runs this before it starts Berth: compiles the sources to dist/, unless dist/ has them already.
//
// Types are not checked here, which would double the time: `npm run build` and `npm run lint` check them.
// Each file is replaced by a rename, and the stamp is written last. So an interrupted build is repeated, and
// two builds at the same time don't disturb each other.
//
// With --check it builds nothing: it fails if dist/ is not up to date.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Says what dist/ was compiled from, and what came out. */
const STAMP = 'dist/.start-stamp';
const TSCONFIG = 'tsconfig.build.json';

process.chdir(join(import.meta.dirname, '..'));
const sources = sourceFiles();
const inputs = hashOf([...sources, TSCONFIG, 'tsconfig.json', 'package-lock.json']);
if (!isUpToDate()) {
  if (process.argv.includes('--check')) process.exit(1);
  await build();
}

function sourceFiles() {
  const names = readdirSync('src', { recursive: true }).map((name) => join('src', name));
  return [...names, 'ormconfig.ts'].filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
}

/** One hash over the names and the contents of files. A missing file counts as such. */
function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths.toSorted()) {
    hash.update(`\0${path}\0`).update(existsSync(path) ? readFileSync(path) : 'missing');
  }
  return hash.digest('hex');
}

/** The outputs are part of it: `nest build` and `npm run bench` write to dist/, too. */
function stamp() {
  return `${inputs} ${hashOf(sources.map((path) => join('dist', path.replace(/\.ts$/, '.js'))))}\n`;
}

function isUpToDate() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp();
}

async function build() {
  const begin = performance.now();
  console.log('Building Berth. This takes some seconds, at the first start and after each change.');
  const missing = missingPackages();
  if (missing.length > 0) fail(`${missing.join(', ')} is not installed: run \`npm ci\`.`);
  const { default: ts } = await import('typescript').catch(() =>
    fail(
      'TypeScript is not installed: run `npm ci`. What was built before runs without npm, such as ' +
        '`node dist/src/main.js` and `node dist/src/commands/backup.js`.',
    ),
  );
  // Otherwise an incremental compiler would take the files that are replaced here for its own.
  for (const name of existsSync('dist') ? readdirSync('dist') : []) {
    if (name.startsWith('.tsbuildinfo')) rmSync(join('dist', name), { force: true });
  }
  const problems = compile(ts);
  if (problems.length > 0) fail(ts.formatDiagnostics(problems, formatHost(ts)));
  removeStaleOutputs();
  replaceFile(STAMP, stamp());
  console.log(`Built in ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
}

/** Returns what kept it from compiling: mistakes in the configuration and in the syntax. */
function compile(ts) {
  const overrides = { noCheck: true, incremental: false, tsBuildInfoFile: undefined };
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (problem) => fail(problem.messageText) };
  const { fileNames, options, errors } = ts.getParsedCommandLineOfConfigFile(TSCONFIG, overrides, host);
  const program = ts.createProgram(fileNames, options);
  const problems = [...errors, ...program.getSyntacticDiagnostics()];
  return problems.length > 0 ? problems : program.emit(undefined, replaceFile).diagnostics;
}

/** The packages that Berth needs at run time and that are not there, for example after a `git pull`. */
function missingPackages() {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  return Object.keys(dependencies).filter((name) => !existsSync(join('node_modules', name, 'package.json')));
}

/** Without its source, an output could hide that an import is missing. */
function removeStaleOutputs() {
  const outputs = readdirSync('dist/src', { recursive: true }).filter((name) => /\.js(\.map)?$/.test(name));
  for (const name of outputs) {
    const source = join('src', name.replace(/\.js(\.map)?$/, '.ts'));
    if (!existsSync(source)) rmSync(join('dist/src', name), { force: true });
  }
}

function replaceFile(path, text) {
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(draft, text);
  renameSync(draft, path);
}

function formatHost(ts) {
  return {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: ts.sys.getCurrentDirectory,
    getNewLine: () => '\n',
  };
}

function fail(reason) {
  console.error(`Berth can't be built: ${reason}`);
  process.exit(1);
}
