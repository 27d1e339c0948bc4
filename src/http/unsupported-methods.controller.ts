import { All, Controller } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { OnRegistry } from '../access/access.js';
import { UnsupportedError } from '../oci/errors.js';

/** Comes last: what reaches it is a path of the spec with a method that the path doesn't have. */
@ApiExcludeController()
@Controller('v2')
@OnRegistry('base', 'read')
export class UnsupportedMethodsController {
  @All(['', '_catalog', '*name/tags/list', '*name/referrers/:digest'])
  readOnly(): never {
    throw unsupported('GET, HEAD');
  }

  @All(['*name/blobs/uploads', '*name/blobs/uploads/'])
  uploads(): never {
    throw unsupported('POST');
  }

  @All('*name/blobs/uploads/:uploadId')
  upload(): never {
    throw unsupported('GET, HEAD, PATCH, PUT, DELETE');
  }

  @All('*name/blobs/:digest')
  blob(): never {
    throw unsupported('GET, HEAD, DELETE');
  }

  @All('*name/manifests/:reference')
  manifest(): never {
    throw unsupported('GET, HEAD, PUT, DELETE');
  }
}

function unsupported(allow: string): UnsupportedError {
  return new UnsupportedError('the endpoint does not have this method', { headers: { Allow: allow } });
}
