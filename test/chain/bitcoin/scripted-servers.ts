import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export type Asked = { readonly id: number; readonly method: string; readonly params: unknown[] }
export type Scripted = { readonly port: number; stop(): Promise<void> }

/** A result or an error, or the bytes to send instead of an answer. */
export type Reply =
  | { readonly result: unknown }
  | { readonly error: unknown }
  | { readonly status?: number; readonly body: string | Buffer; readonly location?: string }

/** A node that answers what it is told to. */
export async function startScriptedNode(
  answer: (asked: Asked, headers: IncomingHttpHeaders) => Reply,
): Promise<Scripted> {
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked
    const reply = answer(asked, request.headers)
    response.on('error', () => undefined)
    if ('body' in reply) {
      const { status = 200, body, location } = reply
      response.writeHead(status, location === undefined ? {} : { location }).end(body)
      return
    }
    const status = 'error' in reply ? 500 : 200
    response
      .writeHead(status)
      .end(JSON.stringify({ result: null, error: null, id: asked.id, ...reply }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** An Electrum server whose every line is up to the script; `undefined` stands for silence. */
export async function startScriptedElectrum(
  answer: (asked: Asked, socket: Socket) => string | undefined,
): Promise<Scripted> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    let text = ''
    socket.setEncoding('utf8').on('data', (more: string) => {
      const lines = (text + more).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const said = answer(JSON.parse(line) as Asked, socket)
        if (said !== undefined && socket.writable) socket.write(`${said}\n`)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
