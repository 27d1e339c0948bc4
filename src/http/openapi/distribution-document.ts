import type { OpenAPIObject } from '@nestjs/swagger';
import { HEAD_EXTENSION } from './parts.js';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;

const API_VERSION_HEADER = {
  'Docker-Distribution-API-Version': { description: '`registry/2.0`', schema: { type: 'string' as const } },
};

/**
 * Adds to an OpenAPI document what decorators cannot express for `/v2`: HEAD, which Express handles as GET;
 * the spec's paths, two of which end in a slash; a header of every response.
 */
export function completeDistributionPaths(document: OpenAPIObject): OpenAPIObject {
  const paths = Object.entries(document.paths).map(([path, item]) =>
    /^\/v2(\/|$)/.test(path) ? [asInSpec(path), complete(item)] : [path, item],
  );
  return { ...document, paths: Object.fromEntries(paths) as OpenAPIObject['paths'] };
}

function asInSpec(path: string): string {
  return path === '/v2' || path.endsWith('/blobs/uploads') ? `${path}/` : path;
}

function complete({ get, ...others }: PathItem): PathItem {
  const operations = Object.entries({ ...(get && getAndHead(get)), ...others });
  return Object.fromEntries(
    operations.map(([method, operation]) => [method, withVersionHeader(operation as Operation)]),
  );
}

function getAndHead(operation: Operation): Pick<PathItem, 'get' | 'head'> {
  const { [HEAD_EXTENSION]: headId, ...get } = operation as Operation &
    Record<typeof HEAD_EXTENSION, unknown>;
  if (typeof headId !== 'string') return { get };
  const responses = Object.entries(get.responses).filter(
    ([status]) => !['206', '307', '416'].includes(status),
  );
  const head = {
    ...get,
    operationId: headId,
    summary: 'Get the headers alone',
    parameters: (get.parameters ?? []).filter(
      (parameter) => !('name' in parameter && /range$/i.test(parameter.name)),
    ),
    responses: Object.fromEntries(responses.map(([status, response]) => [status, ofHead(status, response)])),
  };
  return { get, head };
}

function ofHead(status: string, response: Operation['responses'][string]): Operation['responses'][string] {
  if (response === undefined || '$ref' in response) return response;
  const { content: _, ...rest } = response;
  return status === '200' ? { ...rest, description: 'It exists' } : rest;
}

function withVersionHeader(operation: Operation): Operation {
  const responses = Object.entries(operation.responses).map(([status, response]) => [
    status,
    response === undefined || '$ref' in response
      ? response
      : { ...response, headers: { ...API_VERSION_HEADER, ...response.headers } },
  ]);
  return { ...operation, responses: Object.fromEntries(responses) as Operation['responses'] };
}
