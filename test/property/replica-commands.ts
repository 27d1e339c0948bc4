import { expect } from '@jest/globals';
import type { RegistryModel, SessionModel } from './session-model.js';
import type { Play } from './session-step.js';

/** The process is gone. Its requests in progress may still end later. */
export const kill: Play<null> = async ({ model, real, place, replica }) => {
  model.gone.add(replica);
  await real.replace(place, () => replica.cutOff());
};

export const stop: Play<null> = async ({ model, real, place, replica }) => {
  await real.replace(place, () => replica.stop());
  for (const { session, request } of [...model.stalledRequests]) {
    if (request.replica !== replica) continue;
    model.forget(request);
    if (request.hasLostSession) {
      real.expectLostSession(await request.outcome, 'ShuttingDownError');
      continue;
    }
    expect(await request.outcome).toBe('ShuttingDownError');
    model.keep(session, request.unrecorded);
    session.holder = undefined;
    session.isLapsed = false;
  }
  model.gone.add(replica);
};

export const lapse: Play<null> = async ({ real, session }) => {
  await real.registry.lapse(session.reference);
  session.isLapsed = session.holder !== undefined;
};

export const reap: Play<null> = async ({ model, real, replica }) => {
  await real.registry.reap(replica);
  completeCommits(model);
};

export const expire: Play<null> = async ({ model, real, session, replica }) => {
  await real.registry.expire(session.reference, replica);
  const isWritable = session.state === 'open' || session.state === 'committing';
  if (isWritable && isFree(session)) {
    model.take(session);
    session.state = 'expired';
  }
  completeCommits(model);
};

const isFree = ({ holder, isLapsed }: SessionModel) => holder === undefined || isLapsed;

/** The reaper resumes commits that no request holds. */
function completeCommits(model: RegistryModel): void {
  for (const session of model.sessions) {
    if (session.state !== 'committing' || session.digest === undefined || !isFree(session)) continue;
    model.take(session);
    model.commit(session, session.digest);
  }
}
