import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** What figures depend on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  /** Whether the processor has SHA instructions; null where there is no `/proc/cpuinfo`. */
  readonly shaInstructions: boolean | null;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    shaInstructions: shaInstructions(),
  };
}

/** `2 × AMD EPYC with SHA instructions, Node v20.19.0` */
export function machineText({ cpu, cores, node, shaInstructions: sha }: Machine): string {
  const instructions = sha === null ? '' : ` ${sha ? 'with' : 'without'} SHA instructions`;
  return `${cores} × ${cpu}${instructions}, Node ${node}`;
}

/** The flag is `sha_ni` on x86 and `sha2` on Arm. */
function shaInstructions(): boolean | null {
  try {
    return /^(flags|Features)\s*:.* (sha_ni|sha2)( |$)/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return null;
  }
}
