import { HoldfastError } from '../../base/errors.js'
import type { BitcoinFault } from './reader.js'

type FaultKind = BitcoinFault['kind']

/** A fault as it stands in an answer. */
export function faultOf(error: BitcoinUnavailable): BitcoinFault {
  return { source: error.source, kind: error.kind, error }
}

/** A server's words, short and on one line, so that they can stand in a message. */
export function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a log
  return text.slice(0, 200).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}

const remedies: Readonly<Record<FaultKind, string>> = {
  timeout: 'Look whether the source hangs or is overloaded, or raise bitcoin.requestTimeoutMs.',
  connection: 'Check address, port, certificate and firewall of the source, and that it runs.',
  http: 'Check user and password of the node, and what stands between it and us.',
  rpc: 'Look into the log of the source; the call can be repeated.',
  badData: 'Do not trust this source until it is known why it answers so; add another one.',
  wrongNetwork: 'Name a source on the network that bitcoin.network says.',
  notSynced: 'Wait until the node has caught up with the chain.',
}

/** One Bitcoin source gave no usable answer. */
export class BitcoinUnavailable extends HoldfastError {
  readonly code = 'BitcoinUnavailable'
  /** Scheme, host and port of the source. */
  readonly source: string
  readonly kind: FaultKind

  constructor(
    source: string,
    kind: FaultKind,
    detail: string,
    more: { readonly cause?: unknown; readonly remedy?: string } = {},
  ) {
    super(`${source}: ${detail}`, {
      retry: kind === 'wrongNetwork' ? 'after-fix' : 'safe',
      remedy: more.remedy ?? remedies[kind],
      cause: more.cause,
    })
    this.source = source
    this.kind = kind
  }
}
