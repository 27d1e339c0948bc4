import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NextFunction, Request, Response } from 'express';
import { VERSION } from '../common/version.js';
import { addCredentials, documentAccess } from './access-document.js';
import { completeDistributionPaths } from '../http/openapi/distribution-document.js';

const PATH = 'api/docs';

/**
 * Swagger UI loads only its own files, connects only to this server, and can't be framed. Its page and
 * scripts use inline styles; its icons are `data:` URLs.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The groups in the order of Swagger UI: what an admin looks for comes first. */
const TAGS: readonly (readonly [string, string])[] = [
  ['Admin: overview', 'The registry at a glance'],
  ['Admin: repositories', 'Repositories, their tags and manifests'],
  ['Admin: uploads', 'Uploads in progress'],
  ['Admin: deletions', 'What was deleted: restore it, or purge it'],
  ['Admin: jobs', 'Background jobs: what ran, how far it came, and why it failed'],
  ['Admin: groups', 'Groups of accounts'],
  ['Admin: grants', 'Who may do what on which repositories, and why'],
  ['Admin: audit', 'Who changed, deleted and mounted what, and who signed in'],
  ['Admin: me', 'Who you are, your password and your secrets'],
  ['Admin: users', 'Accounts of people'],
  ['Admin: robots', 'Accounts of programs, and their secrets'],
  ['Health', 'For orchestrators and load balancers'],
  ['Metrics', 'For Prometheus'],
  ['Distribution: base', 'Is this a registry?'],
  ['Distribution: blobs', 'Layers and configs'],
  ['Distribution: uploads', 'How blobs get in: whole, in chunks, as a stream, or mounted'],
  ['Distribution: manifests', 'Images, indexes and artifacts'],
  ['Distribution: lists', 'Tags, repositories and referrers'],
];

/** Serves Swagger UI at `/api/docs` and the document at `/api/docs-json`. Call it before `app.init`. */
export function setUpApiDocs(app: NestExpressApplication): void {
  app.use(`/${PATH}`, setSecurityHeaders);
  app.use(`/${PATH}-json`, setSecurityHeaders);
  SwaggerModule.setup(PATH, app, () => createApiDocument(app), {
    raw: ['json'],
    customSiteTitle: 'Berth: API',
    swaggerOptions: {
      validatorUrl: null,
      docExpansion: 'list',
      operationsSorter: 'alpha',
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      // A closed tab forgets the credentials.
      persistAuthorization: false,
    },
  });
}

/** The OpenAPI document of all endpoints. Created at the first request, because it takes about 100 ms. */
function createApiDocument(app: NestExpressApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setTitle('Berth')
    .setDescription(
      'An OCI container registry: the distribution spec on `/v2`, the admin API on `/api/v1`. ' +
        'Every path refuses other methods than these with 405 and `Allow`. Every response has ' +
        "`X-Request-Id`: the request's own, if it is safe to repeat, or a new one. It is in the log, too. " +
        'Where access is open, no credentials are needed, and given ones are ignored.',
    )
    .setVersion(VERSION)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0');
  for (const [name, description] of TAGS) builder.addTag(name, description);
  const options = { autoTagControllers: false };
  const document = SwaggerModule.createDocument(app, addCredentials(builder).build(), options);
  return orderParameters(completeDistributionPaths(documentAccess(app, document)));
}

/**
 * Sorts parameters as in the path, then the query. Decorators leave them in the order of their evaluation.
 */
function orderParameters(document: OpenAPIObject): OpenAPIObject {
  for (const [path, item] of Object.entries(document.paths)) {
    const rank = (parameter: { in?: string; name?: string }) =>
      parameter.in === 'path' ? path.indexOf(`{${parameter.name ?? ''}}`) : Infinity;
    for (const operation of Object.values(item) as { parameters?: { in?: string; name?: string }[] }[]) {
      operation.parameters?.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
    }
  }
  return document;
}

function setSecurityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  next();
}
