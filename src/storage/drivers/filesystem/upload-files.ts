import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { UploadStateError } from '../../storage.errors.js';
import { FileReadable } from './file-readable.js';
import { isMissing } from './filesystem.errors.js';

/** Opens the end of an upload and drops what lies past the offset, which nobody acknowledged. */
export async function openAtOffset(path: string, offsetBytes: number): Promise<FileHandle> {
  const create = offsetBytes === 0 ? constants.O_CREAT : 0;
  const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | create).catch(
    (error: unknown) => {
      if (isMissing(error)) expectBytes(path, 0, offsetBytes, error);
      throw error;
    },
  );
  try {
    const { size } = await file.stat();
    expectBytes(path, size, offsetBytes);
    if (size > offsetBytes) {
      await file.truncate(offsetBytes);
    }
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Opens the bytes of a file that `rangeIn` chooses; whatever it throws, the file is closed. */
export async function openReadable(
  path: string,
  rangeIn: (stats: Stats) => { start: number; end: number },
): Promise<FileReadable> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { start, end } = rangeIn(await file.stat());
    return new FileReadable(file, start, end);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** @throws UploadStateError when bytes are gone that were acknowledged. */
export function expectBytes(path: string, size: number, expected: number, cause?: unknown): void {
  if (size < expected) {
    throw new UploadStateError(`${path} has ${size} bytes; ${expected} were made durable`, { cause });
  }
}
