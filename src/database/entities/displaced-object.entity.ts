import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BlobEntity } from './blob.entity.js';
import { NOW } from './column-types.js';

/** A former object of a blob, which another object has replaced. */
@Entity('displaced_objects')
@Check('displaced_objects_reason_check', `reason IN ('missing', 'corrupt')`)
@Index('displaced_objects_blob_id_idx', ['blobId'])
@Index('displaced_objects_look_at_idx', ['lookAt'])
export class DisplacedObjectEntity {
  @PrimaryColumn({
    type: 'text',
    collation: 'C',
    name: 'object_key',
    primaryKeyConstraintName: 'displaced_objects_pkey',
  })
  objectKey: string;

  @Column({ type: 'bigint', name: 'blob_id' })
  blobId: string;

  @ManyToOne(() => BlobEntity)
  @JoinColumn({ name: 'blob_id', foreignKeyConstraintName: 'displaced_objects_blob_id_fkey' })
  blob: Relation<BlobEntity>;

  /** `missing`: it was not found or not readable, and may reappear. `corrupt`: its bytes are wrong. */
  @Column({ type: 'text' })
  reason: string;

  /** Its deletion has started. It is never used again. */
  @Column({ type: 'boolean', default: false })
  removing: boolean;

  @Column({ ...NOW, name: 'displaced_at' })
  displacedAt: Date;

  /** When the reaper checks it next. */
  @Column({ ...NOW, name: 'look_at' })
  lookAt: Date;
}
