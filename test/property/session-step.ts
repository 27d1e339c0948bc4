import fc from 'fast-check';
import type { ServedReplica, SessionsUnderTest } from './sessions-under-test.js';
import type { RegistryModel, SessionModel } from './session-model.js';

/** The target of a command. */
export interface Scene {
  readonly model: RegistryModel;
  readonly real: SessionsUnderTest;
  readonly session: SessionModel;
  /** The number of the replica that receives the request. */
  readonly place: number;
  readonly replica: ServedReplica;
}

export type Play<Plan> = (scene: Scene, plan: Plan) => Promise<void>;

export type Command = fc.AsyncCommand<RegistryModel, SessionsUnderTest>;

/** A command on an existing session. Checks everything afterwards. */
class Step<Plan> implements Command {
  constructor(
    private readonly name: string,
    private readonly which: { readonly session: number; readonly replica: number },
    private readonly plan: Plan,
    private readonly play: Play<Plan>,
  ) {}

  check(model: Readonly<RegistryModel>): boolean {
    return model.session(this.which.session) !== undefined;
  }

  async run(model: RegistryModel, real: SessionsUnderTest): Promise<void> {
    const session = model.session(this.which.session);
    if (session === undefined) return;
    const { replica: place } = this.which;
    await this.play({ model, real, session, place, replica: real.replica(place) }, this.plan);
    await real.expectAsModelled(model);
    await real.expectStatus(session, place + 1);
  }

  toString(): string {
    return `${this.name}(${fc.stringify(this.which)}, ${fc.stringify(this.plan)})`;
  }
}

const which = fc.record({ session: fc.nat({ max: 2 }), replica: fc.nat({ max: 2 }) });

/** A command with a random plan, on a random session and replica. */
export function step<Plan>(name: string, plan: fc.Arbitrary<Plan>, play: Play<Plan>): fc.Arbitrary<Command> {
  return fc.tuple(which, plan).map(([about, planned]) => new Step(name, about, planned, play));
}
