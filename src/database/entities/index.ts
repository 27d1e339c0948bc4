import { AuditEventEntity } from './audit-event.entity.js';
import { AccessStateEntity } from './access-state.entity.js';
import { AccessTokenEntity } from './access-token.entity.js';
import { AccountEntity } from './account.entity.js';
import { BlobDigestEntity } from './blob-digest.entity.js';
import { BlobTarsumEntity } from './blob-tarsum.entity.js';
import { BlobEntity } from './blob.entity.js';
import { DeletionEntity } from './deletion.entity.js';
import { DisplacedObjectEntity } from './displaced-object.entity.js';
import { GrantEntity } from './grant.entity.js';
import { GroupMemberEntity } from './group-member.entity.js';
import { GroupEntity } from './group.entity.js';
import { IdempotentRequestEntity } from './idempotent-request.entity.js';
import { JobRunEntity } from './job-run.entity.js';
import { JobEntity } from './job.entity.js';
import { LoginFailureEntity } from './login-failure.entity.js';
import { LoginEntity } from './login.entity.js';
import { ManifestBlobEntity } from './manifest-blob.entity.js';
import { ManifestChildEntity } from './manifest-child.entity.js';
import { ManifestMissingReferenceEntity } from './manifest-missing-reference.entity.js';
import { ManifestEntity } from './manifest.entity.js';
import { ObjectDeletionEntity } from './object-deletion.entity.js';
import { RepositoryBlobEntity } from './repository-blob.entity.js';
import { RepositoryEntity } from './repository.entity.js';
import { SigningKeyEntity } from './signing-key.entity.js';
import { StorageClaimEntity } from './storage-claim.entity.js';
import { StorageIdentityEntity } from './storage-identity.entity.js';
import { TagEventEntity } from './tag-event.entity.js';
import { TagEntity } from './tag.entity.js';
import { TlsAuthorityEntity } from './tls-authority.entity.js';
import { UploadClockEntity } from './upload-clock.entity.js';
import { UploadEventEntity } from './upload-event.entity.js';
import { UploadEntity } from './upload.entity.js';

export const ENTITIES = [
  RepositoryEntity,
  BlobEntity,
  BlobDigestEntity,
  BlobTarsumEntity,
  DisplacedObjectEntity,
  RepositoryBlobEntity,
  ManifestEntity,
  ManifestBlobEntity,
  ManifestChildEntity,
  ManifestMissingReferenceEntity,
  TagEntity,
  TagEventEntity,
  UploadEntity,
  UploadEventEntity,
  UploadClockEntity,
  StorageIdentityEntity,
  StorageClaimEntity,
  DeletionEntity,
  ObjectDeletionEntity,
  JobEntity,
  JobRunEntity,
  AuditEventEntity,
  AccessStateEntity,
  AccountEntity,
  GroupEntity,
  GroupMemberEntity,
  GrantEntity,
  AccessTokenEntity,
  IdempotentRequestEntity,
  TlsAuthorityEntity,
  SigningKeyEntity,
  LoginFailureEntity,
  LoginEntity,
];
