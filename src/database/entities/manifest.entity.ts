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
import { BYTEWISE, NOW } from './column-types.js';
import { RepositoryEntity } from './repository.entity.js';

/** A manifest in a repository: its exact bytes, and what lists and referrers are made of. */
@Entity('manifests')
@Unique('manifests_repository_id_digest_key', ['repositoryId', 'digest'])
@Index('manifests_repository_id_subject_digest_idx', ['repositoryId', 'subjectDigest', 'digest'], {
  where: 'subject_digest IS NOT NULL',
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

  /** Of the algorithm that it was pushed with. */
  @Column(BYTEWISE)
  digest: string;

  @Column({ type: 'text', name: 'media_type' })
  mediaType: string;

  /** The effective one, as referrers show it: the field, else an image's `config.mediaType`. */
  @Column({ type: 'text', name: 'artifact_type', nullable: true })
  artifactType: string | null;

  @Column({ ...BYTEWISE, name: 'subject_digest', nullable: true })
  subjectDigest: string | null;

  /** `json`, not `jsonb`: it may hold any JSON string, U+0000 included, and is only ever handed back. */
  @Column({ type: 'json', nullable: true })
  annotations: Record<string, string> | null;

  @Column({ type: 'bytea' })
  content: Buffer;

  @Column({ type: 'integer', name: 'size_bytes' })
  sizeBytes: number;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;
}
