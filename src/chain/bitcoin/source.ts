import { electrumReader } from './electrum.js'
import type { BitcoinNetwork, CheckedBitcoinReader } from './reader.js'
import { bitcoinRpcReader } from './rpc.js'

/** One source as settings name it. */
export type BitcoinSourceOptions = {
  /** `http://HOST:PORT` or `https` for a Core-style node, `tcp://HOST:PORT` or `ssl` for an Electrum server. */
  readonly url: string
  /** For nodes only, as the next. */
  readonly user?: string | undefined
  /** Copied and wiped on close. */
  readonly password?: Uint8Array | undefined
  /** For `ssl` only: the SHA-256 of the one certificate that is taken. */
  readonly fingerprint?: string | undefined
  readonly network: BitcoinNetwork
  /** Milliseconds for one question; 1 to 600000. */
  readonly requestTimeoutMs: number
}

/**
 * Makes the reader that a URL asks for; nothing is connected yet.
 *
 * @throws RangeError when the URL is none of a source
 */
export function bitcoinSource(options: BitcoinSourceOptions): CheckedBitcoinReader {
  const { network, requestTimeoutMs, fingerprint } = options
  const url = new URL(options.url)
  if (url.protocol !== 'tcp:' && url.protocol !== 'ssl:') return bitcoinRpcReader(options)
  return electrumReader({
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port),
    tls: fingerprint === undefined ? url.protocol === 'ssl:' : { pinnedFingerprint: fingerprint },
    network,
    requestTimeoutMs,
    connectTimeoutMs: requestTimeoutMs,
  })
}
