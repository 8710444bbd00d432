import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { pipelinedRequestsMax } from '../base/limits.js'

/** What one connection is busy with. */
export type Connection = {
  /** Ends the body that is being read as broken, unless it is whole; absent while none is read. */
  failBody: (() => void) | undefined
  /** Nothing that comes now can be read as a request. */
  isBroken: boolean
  /** How many requests wait for their turn. */
  readonly waiting: number
}

/** The connections of a server: each has its requests answered one after the other, as they came. */
export interface Connections {
  of(socket: Socket): Connection
  /** Runs a request's exchange when those before it on its connection have ended. */
  take(request: IncomingMessage, response: ServerResponse, run: () => void): void
  /** Says last words when what came before has been answered, and closes; '' says nothing. */
  breakOff(socket: Socket, lastWords: string): void
}

type Line = Connection & {
  readonly queue: (() => void)[]
  readonly waiting: number
  isBusy: boolean
  lastWords: string
}

/**
 * Makes the bookkeeping of a server's connections.
 *
 * @param lingerMs how long a connection that was broken off is kept, so that its client can read why
 * @param isClosing whether an answered connection is to be closed, however it was asked for
 */
export function createConnections(lingerMs: number, isClosing: () => boolean): Connections {
  const lines = new WeakMap<Socket, Line>()

  function lineOf(socket: Socket): Line {
    const known = lines.get(socket)
    if (known !== undefined) return known
    const queue: (() => void)[] = []
    const line: Line = {
      queue,
      get waiting() {
        return queue.length
      },
      isBusy: false,
      isBroken: false,
      failBody: undefined,
      lastWords: '',
    }
    lines.set(socket, line)
    return line
  }

  function endTurn(socket: Socket, line: Line): void {
    line.isBusy = false
    line.failBody = undefined
    // A connection that was answered for the last time takes no more requests, also such as were already sent.
    if (socket.destroyed || socket.writableEnded) {
      line.queue.length = 0
      return
    }
    const next = line.queue.shift()
    if (socket.isPaused() && line.queue.length < pipelinedRequestsMax / 2) socket.resume()
    if (next !== undefined) next()
    else if (line.isBroken) closeWith(socket, line.lastWords, lingerMs)
    else if (isClosing() || socket.readableEnded) socket.destroySoon()
  }

  return {
    of: lineOf,
    take(request, response, run) {
      const { socket } = request
      const line = lineOf(socket)
      const begin = (): void => {
        line.isBusy = true
        response.once('close', () => endTurn(socket, line))
        run()
      }
      if (!line.isBusy) begin()
      else if (line.queue.push(begin) >= pipelinedRequestsMax)
        setImmediate(pauseIfFull, socket, line)
    },
    breakOff(socket, lastWords) {
      const line = lineOf(socket)
      if (line.isBroken) return
      line.isBroken = true
      line.lastWords = lastWords
      if (line.failBody !== undefined) line.failBody()
      else if (!line.isBusy) closeWith(socket, lastWords, lingerMs)
    },
  }
}

/**
 * Stops reading while too many requests wait.
 *
 * @remarks Called when the bytes at hand have been parsed: the runtime's parser reads on after every request.
 */
function pauseIfFull(socket: Socket, line: Line): void {
  if (line.queue.length >= pipelinedRequestsMax) socket.pause()
}

function closeWith(socket: Socket, lastWords: string, lingerMs: number): void {
  if (lastWords === '' || !socket.writable) {
    socket.destroy()
    return
  }
  socket.end(lastWords)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}
