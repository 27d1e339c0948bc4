import type { IncomingMessage } from 'node:http';
import type {
  CorsOptions,
  CorsOptionsDelegate,
} from '@nestjs/common/interfaces/external/cors-options.interface.js';
import type { Configuration } from '../config/configuration.js';

type Settings = Pick<Configuration, 'corsOrigins'>;

const ALL = '*';

/**
 * The headers that let web pages of `CORS_ORIGINS` use `/v2`, and `/auth/token`, to which `/v2` sends them
 * for a token. Other paths get none: through the admin API, a page could change more than a registry client
 * can.
 */
export function crossOriginOptions({ corsOrigins }: Settings): CorsOptionsDelegate<IncomingMessage> {
  const allowed: CorsOptions = {
    origin: corsOrigins.includes(ALL) ? ALL : [...corsOrigins],
    // Browsers refuse credentials with `*`.
    credentials: !corsOrigins.includes(ALL),
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
    allowedHeaders: [
      ...['Authorization', 'Accept', 'Cache-Control', 'Content-Type', 'Content-Range', 'Range'],
      ...['Idempotency-Key', 'If-None-Match', 'If-Range', 'Upload-Offset', 'X-Request-Id'],
    ],
    exposedHeaders: [
      ...['Docker-Content-Digest', 'Docker-Distribution-Api-Version', 'Docker-Upload-UUID'],
      ...['OCI-Chunk-Min-Length', 'OCI-Filters-Applied', 'OCI-Subject', 'OCI-Tag'],
      ...['Accept-Ranges', 'Allow', 'Content-Length', 'Content-Range', 'ETag', 'Link', 'Location', 'Range'],
      ...['Retry-After', 'Upload-Offset', 'WWW-Authenticate', 'X-Request-Id'],
    ],
    maxAge: 7200,
  };
  return (request, done) => done(null, isClientPath(request) ? allowed : { origin: false });
}

/** Whether `CORS_ORIGINS` lets the web page that sent the request use the path. */
export function allowsPage({ corsOrigins }: Settings, request: IncomingMessage): boolean {
  const { origin } = request.headers;
  return (
    origin !== undefined &&
    isClientPath(request) &&
    corsOrigins.some((allowed) => allowed === ALL || allowed === origin)
  );
}

/** Whether registry clients use the path. */
function isClientPath({ url = '' }: IncomingMessage): boolean {
  return /^\/(?:v2(?:[/?]|$)|auth\/token(?:\?|$))/.test(url);
}
