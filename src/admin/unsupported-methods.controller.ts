import { All } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { OnRegistry } from '../access/access.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import { AdminController } from './admin-controller.js';

/** Comes last: what reaches it is a path of the admin API with a method that the path doesn't have. */
@ApiExcludeController()
@AdminController('', 'methods')
@OnRegistry('admin', 'read')
export class UnsupportedAdminMethodsController {
  @All(['overview', 'repositories', 'repositories/*name', 'uploads'])
  readOnly(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }

  @All('uploads/:id')
  upload(): never {
    throw new MethodNotAllowedError('GET, HEAD, DELETE');
  }
}
