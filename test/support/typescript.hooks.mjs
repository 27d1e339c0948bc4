import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';
import { SWC } from './swc.mjs';

/** Hooks for Node's own loader: an import in a TypeScript file finds TypeScript files. */
export function resolve(specifier, context, next) {
  const isOwn = specifier.startsWith('.') && context.parentURL?.endsWith('.ts');
  return next(isOwn ? specifier.replace(/\.js$/, '.ts') : specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { code } = await transformFile(fileURLToPath(url), { ...SWC, sourceMaps: 'inline' });
  return { format: 'module', source: code, shortCircuit: true };
}
