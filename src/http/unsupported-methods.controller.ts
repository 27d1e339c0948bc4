import { All, Controller } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SignedIn } from '../access/access.js';
import { MethodNotAllowedError } from '../oci/errors.js';

/** Must be the last controller: it refuses all other methods of the spec's paths. */
@ApiExcludeController()
@Controller('v2')
@SignedIn()
export class UnsupportedMethodsController {
  @All(['', '_catalog', '*name/tags/list', '*name/referrers/:digest'])
  readOnly(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }

  @All('*name/blobs/uploads/:uploadId')
  upload(): never {
    throw new MethodNotAllowedError('GET, HEAD, PATCH, PUT, DELETE');
  }

  @All('*name/blobs/:digest')
  blob(): never {
    throw new MethodNotAllowedError('GET, HEAD, DELETE');
  }

  @All('*name/manifests/:reference')
  manifest(): never {
    throw new MethodNotAllowedError('GET, HEAD, PUT, DELETE');
  }
}
