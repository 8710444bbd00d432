import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { ChainView } from './bitcoin.js'
import { type SelfSigned, selfSignedCertificate } from './bitcoin-certificate.js'
import { readScriptIndex, type ScriptIndex, scriptHash } from './bitcoin-script-index.js'

/** A small Electrum server, protocol 1.4, on loopback. */
export type ElectrumServer = {
  readonly host: string
  /** Plain TCP. */
  readonly port: number
  readonly tlsPort: number
  readonly certificate: SelfSigned
  /** Connections that are open now. */
  connections(): number
  /** Ends all connections, as a restarted server does. */
  disconnectAll(): void
  stop(): Promise<void>
}

const host = '127.0.0.1'
const lineBytesMax = 1024 * 1024
const protocol = '1.4'

/** Serves a chain to Electrum clients over TCP and TLS. */
export async function startElectrumServer(chain: ChainView): Promise<ElectrumServer> {
  const certificate = selfSignedCertificate()
  const sessions = new Set<Session>()
  const reading = indexReader(chain)
  const accept = (socket: Socket): void => {
    const session = new Session(socket, reading)
    sessions.add(session)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sessions.delete(session))
  }
  const plain = createServer(accept)
  const secure = createTlsServer({ key: certificate.key, cert: certificate.cert }, accept)
  secure.on('tlsClientError', () => undefined)
  const forget = chain.onTip(() => {
    for (const session of sessions) session.announceTip()
  })
  const [port, tlsPort] = [await listen(plain), await listen(secure)]
  const disconnectAll = (): void => {
    for (const session of sessions) session.end()
  }
  return {
    host,
    port,
    tlsPort,
    certificate,
    connections: () => sessions.size,
    disconnectAll,
    stop: async () => {
      forget()
      const closed = [plain, secure].map((server) => {
        const done = once(server, 'close')
        server.close()
        return done
      })
      disconnectAll()
      await Promise.all(closed)
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Every answer is of the chain as it is now; readings follow one another, so that blocks are read once. */
function indexReader(chain: ChainView): () => Promise<ScriptIndex> {
  let last: Promise<ScriptIndex | undefined> = Promise.resolve(undefined)
  return () => {
    const next = last.then((known) => readScriptIndex(chain, known?.blocks ?? []))
    last = next.catch(() => undefined)
    return next
  }
}

class Session {
  readonly #socket: Socket
  readonly #read: () => Promise<ScriptIndex>
  #text = ''
  #wantsTips = false

  constructor(socket: Socket, read: () => Promise<ScriptIndex>) {
    this.#socket = socket
    this.#read = read
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#take(text))
  }

  end(): void {
    this.#socket.destroy()
  }

  announceTip(): void {
    if (!this.#wantsTips) return
    this.#read().then(
      (index) => this.#send({ method: 'blockchain.headers.subscribe', params: [tipOf(index)] }),
      () => this.end(),
    )
  }

  #take(text: string): void {
    this.#text += text
    if (this.#text.length > lineBytesMax) {
      this.end()
      return
    }
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) this.#answer(line)
  }

  #answer(line: string): void {
    let request: { id?: unknown; method?: unknown; params?: unknown }
    try {
      request = JSON.parse(line)
    } catch {
      // Nobody can be answered who did not say what.
      this.end()
      return
    }
    const { id = null, method, params = [] } = request
    if (method === 'blockchain.headers.subscribe') this.#wantsTips = true
    this.#read()
      .then((index) => answer(index, String(method), params as readonly unknown[]))
      .then(
        (result) => this.#send({ id, result }),
        (error: unknown) => this.#send({ id, error: errorOf(error) }),
      )
  }

  #send(fields: object): void {
    if (this.#socket.writable) {
      this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...fields })}\n`)
    }
  }
}

function answer(index: ScriptIndex, method: string, params: readonly unknown[]): unknown {
  const [first, second] = params
  switch (method) {
    case 'server.version':
      return ['devnet 1', protocol]
    case 'server.ping':
      return null
    case 'server.features':
      return {
        genesis_hash: index.blocks[0]?.hash,
        hosts: {},
        protocol_max: protocol,
        protocol_min: protocol,
        pruning: null,
        server_version: 'devnet 1',
        hash_function: 'sha256',
      }
    case 'blockchain.headers.subscribe':
      return tipOf(index)
    case 'blockchain.block.header':
      return blockAt(index, first).header
    case 'blockchain.transaction.get':
      return rawOf(index, first, second)
    case 'blockchain.scripthash.get_history':
      return historyOf(index, first)
    case 'blockchain.scripthash.listunspent':
      return unspentOf(index, String(first))
    default:
      throw new Refusal(-32601, `unknown method "${method}"`)
  }
}

function tipOf(index: ScriptIndex): { height: number; hex: string } {
  const { height, header } = blockAt(index, index.blocks.length - 1)
  return { height, hex: header }
}

function blockAt(index: ScriptIndex, height: unknown): ScriptIndex['blocks'][number] {
  const block = typeof height === 'number' ? index.blocks[height] : undefined
  if (!block) throw new Refusal(1, `height ${height} out of range`)
  return block
}

function rawOf(index: ScriptIndex, txid: unknown, isVerbose: unknown): string {
  if (isVerbose) throw new Refusal(1, 'verbose transactions are not supported')
  const found = index.transactions.get(String(txid))
  if (!found) {
    throw new Refusal(2, 'daemon error: No such mempool or blockchain transaction (code -5)')
  }
  return found.raw
}

function historyOf(index: ScriptIndex, hash: unknown): object[] {
  const history = index.histories.get(String(hash)) ?? []
  return history.map(({ txid, height }) => ({ tx_hash: txid, height }))
}

function unspentOf(index: ScriptIndex, hash: string): object[] {
  return (index.histories.get(hash) ?? []).flatMap(({ txid, height, outputs }) =>
    outputs.flatMap(({ sats, script }, vout) => {
      if (scriptHash(script) !== hash || index.spent.has(`${txid}:${vout}`)) return []
      return [{ tx_hash: txid, tx_pos: vout, height: Math.max(0, height), value: sats }]
    }),
  )
}

function errorOf(error: unknown): { code: number; message: string } {
  return error instanceof Refusal
    ? { code: error.code, message: error.message }
    : { code: -32603, message: String(error) }
}

class Refusal extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}
