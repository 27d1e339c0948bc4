import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { DatabaseSpace } from '../database/database-space.js';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Refuses requests that write while the disk of the embedded database is full. Reads always pass. */
@Injectable()
export class DatabaseSpaceGuard implements CanActivate {
  constructor(private readonly space: DatabaseSpace) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { method, headers, path } = context.switchToHttp().getRequest<Request>();
    if (READS.has(method) || isLogin(path)) return true;
    const bytes = Number(headers['content-length'] ?? 0);
    await this.space.expectRoom(method === 'DELETE' ? 'delete' : 'push', Number.isFinite(bytes) ? bytes : 0);
    return true;
  }
}

/** A token takes no space, and a client that deletes to make room needs one. */
function isLogin(path: string): boolean {
  return path === '/auth/token';
}
