import { All, Controller } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SignedIn } from '../access/access.js';
import { MethodNotAllowedError } from '../oci/errors.js';

/** Must precede the blobs' controller, which would parse `uploads` as a digest. */
@ApiExcludeController()
@Controller('v2')
@SignedIn()
export class UnsupportedUploadMethodsController {
  @All(['*name/blobs/uploads', '*name/blobs/uploads/'])
  uploads(): never {
    throw new MethodNotAllowedError('POST');
  }
}
