import { createServer } from 'node:http';

/** Serves a small manifest with node:http only, in one process on one core. */
const body = Buffer.alloc(600, 'x');
const digest = `sha256:${'a'.repeat(64)}`;
const headers = {
  'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
  'Docker-Content-Digest': digest,
  ETag: `"${digest}"`,
  'Content-Length': body.length,
};
const server = createServer((_request, response) => {
  response.writeHead(200, headers).end(body);
});
server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined);
