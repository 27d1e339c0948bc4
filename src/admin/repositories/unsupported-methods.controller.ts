import { All } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SignedIn } from '../../access/access.js';
import { MethodNotAllowedError } from '../../oci/errors.js';
import { AdminController } from '../admin-controller.js';

/**
 * Registered before RepositoriesController: a DELETE of a list of a repository must not delete a repository
 * whose name ends like the path of that list.
 */
@ApiExcludeController()
@AdminController('repositories', 'methods')
@SignedIn()
export class UnsupportedRepositoryMethodsController {
  @All([
    '*name/tags',
    '*name/tags/:tag/events',
    '*name/manifests',
    '*name/manifests/:digest',
    '*name/blobs/:digest',
    '*name/events',
    '*name/usage',
  ])
  readOnly(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }
}
