import { connectionsText, sizeText } from '../cases/sizes.js';

/** Concurrent layers of the limit of images. Clients have more; with this many, the machine is busy. */
export const LAYERS_AT_ONCE = 16;

/** The limit of pushes that are large or of many layers. */
export function bareUploadsName(sizeBytes: number, connections: number): string {
  const size = sizeText(sizeBytes);
  return `limit: receive + sha256 + write + fdatasync of ${size}, ${connectionsText(connections)}`;
}

/** The limit of small pushes. */
export function smallFilesName(sizeBytes: number, atOnce: number): string {
  return `limit: durable files of ${sizeText(sizeBytes)}, ${atOnce} at once`;
}
