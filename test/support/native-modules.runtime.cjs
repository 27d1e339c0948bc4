const { register } = require('node:module');
const { dirname, isAbsolute, join, resolve, sep } = require('node:path');
const { pathToFileURL } = require('node:url');
const { SyntheticModule } = require('node:vm');
const { default: Runtime } = require('jest-runtime');

const ROOT = join(__dirname, '../..');
const TESTS = join(ROOT, 'test') + sep;
const SOURCES = join(ROOT, 'src') + sep;

let isRegistered = false;

/**
 * Evaluates `src` and the packages once per worker, in Node itself as in production, and not once per file in
 * Jest's VM: that took longer than most files. Only the tests and what they share are evaluated per file.
 * Units beside the code stay as they are: they replace timers and clocks, which Node's own modules don't see.
 */
module.exports = class NativeModulesRuntime extends Runtime {
  constructor(...args) {
    super(...args);
    const [, environment, , , , { collectCoverage }, testPath] = args;
    // Jest measures only what it evaluates itself.
    if (!testPath.startsWith(TESTS) || collectCoverage) return;
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
