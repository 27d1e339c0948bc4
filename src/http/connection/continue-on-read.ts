import type { RequestListener } from 'node:http';

/**
 * Sends `100 Continue` when the application begins to read the body, not before. If the headers decide the
 * response, the client gets it at once and sends no body (RFC 9110, section 10.1.1). Node then closes the
 * connection, because the client may send the body all the same.
 */
export function continueOnRead(application: RequestListener): RequestListener {
  return (request, response) => {
    const read = request._read.bind(request);
    request._read = (size) => {
      request._read = read;
      if (!response.headersSent) response.writeContinue();
      read(size);
    };
    application(request, response);
  };
}
