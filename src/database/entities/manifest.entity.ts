import {
  Column,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  Unique,
} from 'typeorm';
import { BYTES, BYTEWISE, CLIENT_ADDRESS, NOW } from './column-types.js';
import { RepositoryEntity } from './repository.entity.js';

/** A manifest in a repository: its exact bytes, and the fields that lists and referrers return. */
@Entity('manifests')
@Index('manifests_deletion_id_id_idx', ['deletionId', 'id'], { where: 'deletion_id IS NOT NULL' })
@Index('manifests_pushed_at_idx', ['pushedAt', 'id'])
@Unique('manifests_repository_id_digest_key', ['repositoryId', 'digest'])
@Index('manifests_repository_id_subject_digest_idx', ['repositoryId', 'subjectDigest', 'digest'], {
  where: 'subject_digest IS NOT NULL',
})
@Index('manifests_repository_id_created_at_digest_idx', ['repositoryId', 'createdAt', 'digest'], {
  where: `created_at >= '-infinity'`,
})
@Index('manifests_repository_id_image_size_bytes_digest_idx', ['repositoryId', 'imageSizeBytes', 'digest'], {
  where: 'image_size_bytes >= 0',
})
@Index(
  'manifests_repository_id_subject_digest_artifact_type_idx',
  ['repositoryId', 'subjectDigest', 'artifactType', 'digest'],
  { where: 'subject_digest IS NOT NULL' },
)
export class ManifestEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'manifests_pkey' })
  id: string;

  @Column({ type: 'bigint', name: 'repository_id' })
  repositoryId: string;

  @ManyToOne(() => RepositoryEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'manifests_repository_id_fkey' })
  repository: Relation<RepositoryEntity>;

  /** In the algorithm of the push. */
  @Column(BYTEWISE)
  digest: string;

  @Column({ type: 'text', name: 'media_type' })
  mediaType: string;

  /** As referrers return it: `artifactType`, or else the `config.mediaType` of an image. */
  @Column({ type: 'text', name: 'artifact_type', nullable: true })
  artifactType: string | null;

  @Column({ ...BYTEWISE, name: 'subject_digest', nullable: true })
  subjectDigest: string | null;

  /** `json`, not `jsonb`: returned unchanged, and may contain any JSON string, including U+0000. */
  @Column({ type: 'json', nullable: true })
  annotations: Record<string, string> | null;

  @Column({ type: 'bytea' })
  content: Buffer;

  @Column({ type: 'integer', name: 'size_bytes' })
  sizeBytes: number;

  /**
   * The bytes of its config and layers; of an index, those of all manifests below it that exist. Each blob
   * counts once. Triggers keep it up to date (migration `ImageSizes`).
   */
  @Column({ ...BYTES, name: 'image_size_bytes', default: 0 })
  imageSizeBytes: number;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;

  /** The address of the client that pushed it first. */
  @Column(CLIENT_ADDRESS)
  clientAddress: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  /** The deletion that deleted it; null: it is live. */
  @Column({ type: 'bigint', name: 'deletion_id', nullable: true })
  deletionId: string | null;

  /** Whether the collector deleted it, not a request: an index that lists it revives it. */
  @Column({ type: 'boolean', name: 'is_follower', default: false })
  isFollower: boolean;

  /** When it was pushed or restored last. */
  @Column({ ...NOW, name: 'pushed_at' })
  pushedAt: Date;
}
