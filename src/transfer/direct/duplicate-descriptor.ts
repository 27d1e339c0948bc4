/** `F_DUPFD_CLOEXEC` of fcntl(2) on Linux. */
const F_DUPFD_CLOEXEC = 1030;

/** Returns a second descriptor of an open file, which child processes do not inherit, or -1. */
export type DuplicateDescriptor = (descriptor: number) => number;

/** @throws Error if the system is not Linux, or koffi has no build for it. */
export async function loadDuplicateDescriptor(): Promise<DuplicateDescriptor> {
  if (process.platform !== 'linux') throw new Error(`not available on ${process.platform}`);
  const { default: koffi } = await import('koffi');
  const fcntl = koffi.load(null).func('int fcntl(int, int, ...)');
  return (descriptor) => Number(fcntl(descriptor, F_DUPFD_CLOEXEC, 'int', 0));
}
