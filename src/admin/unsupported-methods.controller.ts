import { All } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SignedIn } from '../access/access.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import { AdminController } from './admin-controller.js';

/** Registered last: matches paths of the admin API with a method that they don't support. */
@ApiExcludeController()
@AdminController('', 'methods')
@SignedIn()
export class UnsupportedAdminMethodsController {
  @All([
    'overview',
    'repositories',
    'deletions',
    'garbage',
    'deletions/:id',
    'blobs/:digest/repositories',
    'uploads',
    'uploads/:id/events',
    'me',
    'audit',
    'access/explain',
    'groups/:name/members',
  ])
  readOnly(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }

  @All('repositories/*name')
  repository(): never {
    throw new MethodNotAllowedError('GET, HEAD, DELETE');
  }

  @All(['deletions/:id/restore', 'deletions/:id/purge'])
  deletion(): never {
    throw new MethodNotAllowedError('POST');
  }

  @All('uploads/:id')
  upload(): never {
    throw new MethodNotAllowedError('GET, HEAD, DELETE');
  }

  @All(['users', 'robots', 'robots/:name/tokens', 'me/tokens'])
  accounts(): never {
    throw new MethodNotAllowedError('GET, HEAD, POST');
  }

  @All(['users/:name', 'robots/:name'])
  account(): never {
    throw new MethodNotAllowedError('GET, HEAD, PATCH, DELETE');
  }

  @All(['robots/:name/tokens/:id', 'me/tokens/:id'])
  token(): never {
    throw new MethodNotAllowedError('DELETE');
  }

  @All('me/password')
  password(): never {
    throw new MethodNotAllowedError('PUT');
  }

  @All(['groups', 'grants'])
  lists(): never {
    throw new MethodNotAllowedError('GET, HEAD, POST');
  }

  @All('groups/:name')
  group(): never {
    throw new MethodNotAllowedError('GET, HEAD, PATCH, DELETE');
  }

  @All('groups/:name/members/:account')
  member(): never {
    throw new MethodNotAllowedError('PUT, DELETE');
  }

  @All('grants/:id')
  grant(): never {
    throw new MethodNotAllowedError('DELETE');
  }
}
