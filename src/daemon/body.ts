import type { IncomingMessage } from 'node:http'
import { covenantBodyBytesMax, unreadBodyBytesMax } from '../base/limits.js'
import type { Connection } from './connections.js'

/**
 * Reads the whole body of a request.
 *
 * @returns undefined for one that is longer than the limit, broken, too slow or cut off
 */
export function readBody(
  request: IncomingMessage,
  connection: Connection,
): Promise<Uint8Array | undefined> {
  if (announcedBytes(request) > covenantBodyBytesMax || request.destroyed) {
    return Promise.resolve(undefined)
  }
  return new Promise((resolve) => {
    const body = createGrowingBytes()
    const end = (whole: Uint8Array | undefined): void => {
      connection.failBody = undefined
      request.off('data', take)
      resolve(whole)
    }
    const fail = (): void => end(undefined)
    const take = (chunk: Uint8Array): void => {
      if (body.size + chunk.length > covenantBodyBytesMax) fail()
      else body.append(chunk)
    }
    // What is broken may be what comes after a body that is whole.
    connection.failBody = () => {
      if (!request.complete) fail()
    }
    request.on('data', take)
    request.once('end', () => end(body.bytes()))
    request.once('error', fail)
    request.once('close', fail)
  })
}

/** Bytes in one piece: a body may come in as many pieces as it has bytes, and each would cost more than it holds. */
function createGrowingBytes(): {
  readonly size: number
  append(chunk: Uint8Array): void
  bytes(): Uint8Array
} {
  let room = new Uint8Array(8192)
  let size = 0
  return {
    get size() {
      return size
    },
    append(chunk) {
      if (size + chunk.length > room.length) {
        const larger = new Uint8Array(Math.max(room.length * 2, size + chunk.length))
        larger.set(room.subarray(0, size))
        room = larger
      }
      room.set(chunk, size)
      size += chunk.length
    },
    bytes: () => room.subarray(0, size),
  }
}

/** Whether a body has been left unread that is not worth reading for the connection's sake. */
export function leavesTooMuch(request: IncomingMessage): boolean {
  if (request.complete) return false
  return isChunked(request) || announcedBytes(request) > unreadBodyBytesMax
}

/** Whether a request has a body at all, also one that has not come yet. */
export function hasBody(request: IncomingMessage): boolean {
  return isChunked(request) || announcedBytes(request) > 0
}

const isChunked = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined

const announcedBytes = ({ headers }: IncomingMessage): number =>
  Number(headers['content-length'] ?? 0)
