import type { Socket } from 'node:net';

/**
 * Calls back with the first byte of a connection, which stays to be read. Never calls if the client sends
 * nothing for `timeoutMs`, or disconnects: the connection is destroyed then.
 */
export function onFirstByte(socket: Socket, timeoutMs: number, use: (byte: number) => void): void {
  const giveUp = () => socket.destroy();
  socket.once('error', giveUp).once('end', giveUp).setTimeout(timeoutMs, giveUp);
  socket.once('data', (bytes: Buffer) => {
    socket.removeListener('error', giveUp).removeListener('end', giveUp).removeListener('timeout', giveUp);
    socket.setTimeout(0);
    // The next reader gets them as the first bytes.
    socket.pause();
    socket.unshift(bytes);
    use(bytes[0] ?? 0);
  });
}
