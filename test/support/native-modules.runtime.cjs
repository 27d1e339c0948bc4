const { readFileSync } = require('node:fs');
const { register } = require('node:module');
const { dirname, isAbsolute, join, resolve, sep } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script, SyntheticModule } = require('node:vm');
const { default: Runtime } = require('jest-runtime');

const ROOT = join(__dirname, '../..');
const SOURCES = join(ROOT, 'src') + sep;

const PACKAGES = `${sep}node_modules${sep}`;

/** By path. */
const scripts = new Map();
let isRegistered = false;

/**
 * Evaluates `src` and the packages once per worker, in Node itself as in production, and not once per file in
 * Jest's VM: that took longer than most files. Only the tests and what they share are evaluated per file.
 * Files with fake timers evaluate everything themselves: Node's own modules don't see the fake ones.
 */
module.exports = class NativeModulesRuntime extends Runtime {
  constructor(...args) {
    super(...args);
    const [, environment, , , , { collectCoverage }, testPath] = args;
    this.compileOncePerWorker(environment);
    // Jest measures only what it evaluates itself.
    if (collectCoverage || readFileSync(testPath, 'utf8').includes('useFakeTimers(')) return;
    const modules = new Map();
    const loader = this.esmLoader;
    const resolveModule = loader.resolveModule.bind(loader);
    loader.resolveModule = (specifier, from, context) => {
      const url = this.nativeUrl(specifier, from);
      if (url === undefined) return resolveModule(specifier, from, context);
      if (!modules.has(url)) modules.set(url, synthetic(url, environment.getVmContext()));
      return modules.get(url);
    };
    // Since Node 22.21, Jest walks the graph by itself, without `resolveModule`, if resolvers are synchronous.
    this._resolution.hasDistinctAsyncResolver = () => true;
  }

  nativeUrl(specifier, from) {
    if (specifier.startsWith('.') || isAbsolute(specifier)) {
      const path = resolve(dirname(from), specifier).replace(/\.js$/, '.ts');
      return path.startsWith(SOURCES) ? pathToFileURL(path).href : undefined;
    }
    if (specifier === '@jest/globals' || this._resolution.isCoreModule(specifier)) return undefined;
    return specifier;
  }

  /** Jest evaluates its own packages for each file: they need not be compiled each time, too. */
  compileOncePerWorker(environment) {
    const { executor } = this;
    const compile = executor.compile.bind(executor);
    executor.compile = (source, filename) => {
      const context = environment.getVmContext();
      if (context === null || !filename.includes(PACKAGES) || source.includes('import(')) {
        return compile(source, filename);
      }
      if (!scripts.has(filename)) {
        const code = `(function (${executor.injectedModuleParameters.join(', ')}) {${source}\n})`;
        scripts.set(filename, new Script(code, { filename }));
      }
      return scripts.get(filename).runInContext(context);
    };
  }

  /** Modules live longer than a file: what it replaced in them is put back. */
  teardown() {
    this.restoreAllMocks();
    super.teardown();
  }
};

async function synthetic(url, context) {
  if (!isRegistered) register('./typescript.hooks.mjs', pathToFileURL(__filename));
  isRegistered = true;
  const namespace = await import(url);
  const names = Object.keys(namespace);
  const module = new SyntheticModule(
    names,
    () => names.forEach((name) => module.setExport(name, namespace[name])),
    { context, identifier: url },
  );
  return module;
}
