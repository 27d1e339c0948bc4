import { Global, Module } from '@nestjs/common';
import { AuditLog } from './audit-log.js';
import { AuditRetention } from './audit-retention.js';

/** The audit log: its vocabulary (`audit-actions.ts`), how events are recorded and when they expire. */
@Global()
@Module({ providers: [AuditLog, AuditRetention], exports: [AuditLog, AuditRetention] })
export class AuditModule {}
