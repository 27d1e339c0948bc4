import { InitialSchema1763900000000 } from './1763900000000-initial-schema.js';
import { UploadLife1764000000000 } from './1764000000000-upload-life.js';
import { BoundedLookups1764100000000 } from './1764100000000-bounded-lookups.js';
import { SupersededIndex1764100000001 } from './1764100000001-superseded-index.js';
import { StorageIdentity1764200000000 } from './1764200000000-storage-identity.js';
import { DisplacedObjects1764210000000 } from './1764210000000-displaced-objects.js';
import { RepositoriesOfReferences1764220000000 } from './1764220000000-repositories-of-references.js';
import { FilledRepositories1764220000001 } from './1764220000001-filled-repositories.js';
import { IndexOfReferences1764220000002 } from './1764220000002-index-of-references.js';
import { NeededLinks1764220000003 } from './1764220000003-needed-links.js';
import { ManifestFunctions1764220000004 } from './1764220000004-manifest-functions.js';
import { ValidatedLinks1764220000005 } from './1764220000005-validated-links.js';
import { SupersededBlobKey1764220000006 } from './1764220000006-superseded-blob-key.js';
import { UploadClock1764240000000 } from './1764240000000-upload-clock.js';
import { CommitFunction1764250000000 } from './1764250000000-commit-function.js';
import { BodyStart1764340000000 } from './1764340000000-body-start.js';
import { ImageSizes1764360000000 } from './1764360000000-image-sizes.js';
import { ClientAddresses1764360000001 } from './1764360000001-client-addresses.js';
import { FilledImageSizes1764360000002 } from './1764360000002-filled-image-sizes.js';
import { IndexesOfSortedLists1764360000003 } from './1764360000003-indexes-of-sorted-lists.js';
import { PutManifestFunction1764360000004 } from './1764360000004-put-manifest-function.js';
import { RemoveManifestFunction1764360000005 } from './1764360000005-remove-manifest-function.js';
import { AccessControl1764400000000 } from './1764400000000-access-control.js';
import { RepositoryNamesFunction1764400000001 } from './1764400000001-repository-names-function.js';
import { TlsAuthority1764410000000 } from './1764410000000-tls-authority.js';
import { Logins1764420000000 } from './1764420000000-logins.js';
import { SigningKeys1764430000000 } from './1764430000000-signing-keys.js';
import { IndexOfAccounts1764440000000 } from './1764440000000-index-of-accounts.js';
import { AuditEvents1764450000000 } from './1764450000000-audit-events.js';
import { AuditedDeletions1764450000001 } from './1764450000001-audited-deletions.js';
import { IndexesOfGrants1764450000002 } from './1764450000002-indexes-of-grants.js';
import { IndexOfRoles1764450000003 } from './1764450000003-index-of-roles.js';
import { Deletions1764500000000 } from './1764500000000-deletions.js';
import { Candidates1764500000001 } from './1764500000001-candidates.js';
import { FilledCandidates1764500000002 } from './1764500000002-filled-candidates.js';
import { IndexesOfCandidates1764500000003 } from './1764500000003-indexes-of-candidates.js';
import { SoftDeletions1764510000000 } from './1764510000000-soft-deletions.js';
import { RevivingPushes1764510000001 } from './1764510000001-reviving-pushes.js';
import { LinkFunctions1764520000000 } from './1764520000000-link-functions.js';
import { CommitBesideCollector1764520000001 } from './1764520000001-commit-beside-collector.js';
import { UploadsWithoutBlobKey1764520000002 } from './1764520000002-uploads-without-blob-key.js';
import { Selections1764530000000 } from './1764530000000-selections.js';
import { CollectedLinksAndBlobs1764530000001 } from './1764530000001-collected-links-and-blobs.js';
import { FollowedDeletions1764530000002 } from './1764530000002-followed-deletions.js';
import { PurgedDeletions1764530000003 } from './1764530000003-purged-deletions.js';
import { UntaggedManifests1764530000004 } from './1764530000004-untagged-manifests.js';
import { Restoration1764540000000 } from './1764540000000-restoration.js';
import { StorageClaim1764560000000 } from './1764560000000-storage-claim.js';
import { Jobs1764550000000 } from './1764550000000-jobs.js';
import { UntaggedForecast1764600000000 } from './1764600000000-untagged-forecast.js';
import { CommitOfStoredContent1764610000000 } from './1764610000000-commit-of-stored-content.js';
import { IdempotentRequests1764620000000 } from './1764620000000-idempotent-requests.js';
import { IndexOfOpenSessions1764630000000 } from './1764630000000-index-of-open-sessions.js';
import { BlobTarsums1764650000000 } from './1764650000000-blob-tarsums.js';
import { TarsumsOfUploads1764650000001 } from './1764650000001-tarsums-of-uploads.js';

/** In the order in which they run. */
export const MIGRATIONS = [
  InitialSchema1763900000000,
  UploadLife1764000000000,
  BoundedLookups1764100000000,
  SupersededIndex1764100000001,
  StorageIdentity1764200000000,
  DisplacedObjects1764210000000,
  RepositoriesOfReferences1764220000000,
  FilledRepositories1764220000001,
  IndexOfReferences1764220000002,
  NeededLinks1764220000003,
  ManifestFunctions1764220000004,
  ValidatedLinks1764220000005,
  SupersededBlobKey1764220000006,
  UploadClock1764240000000,
  CommitFunction1764250000000,
  BodyStart1764340000000,
  ImageSizes1764360000000,
  ClientAddresses1764360000001,
  FilledImageSizes1764360000002,
  IndexesOfSortedLists1764360000003,
  PutManifestFunction1764360000004,
  RemoveManifestFunction1764360000005,
  AccessControl1764400000000,
  RepositoryNamesFunction1764400000001,
  TlsAuthority1764410000000,
  Logins1764420000000,
  SigningKeys1764430000000,
  IndexOfAccounts1764440000000,
  AuditEvents1764450000000,
  AuditedDeletions1764450000001,
  IndexesOfGrants1764450000002,
  IndexOfRoles1764450000003,
  Deletions1764500000000,
  Candidates1764500000001,
  FilledCandidates1764500000002,
  IndexesOfCandidates1764500000003,
  SoftDeletions1764510000000,
  RevivingPushes1764510000001,
  LinkFunctions1764520000000,
  CommitBesideCollector1764520000001,
  UploadsWithoutBlobKey1764520000002,
  Selections1764530000000,
  CollectedLinksAndBlobs1764530000001,
  FollowedDeletions1764530000002,
  PurgedDeletions1764530000003,
  UntaggedManifests1764530000004,
  Restoration1764540000000,
  Jobs1764550000000,
  StorageClaim1764560000000,
  UntaggedForecast1764600000000,
  CommitOfStoredContent1764610000000,
  IdempotentRequests1764620000000,
  IndexOfOpenSessions1764630000000,
  BlobTarsums1764650000000,
  TarsumsOfUploads1764650000001,
];
