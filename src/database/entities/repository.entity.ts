import { Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';

/** A repository. The first blob or manifest committed to it creates it. */
@Entity('repositories')
@Unique('repositories_name_key', ['name'])
export class RepositoryEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'repositories_pkey' })
  id: string;

  @Column(BYTEWISE)
  name: string;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;
}
