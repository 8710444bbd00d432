// The published contracts on a local chain, for one test file.
import { afterAll, beforeAll } from 'vitest'
import { type EvmDevnet, startEvmDevnet } from '../../../devnet/evm.js'
import { type FaultProxy, startFaultProxy } from '../../../devnet/fault-proxy-http.js'
import type { Logger } from '../../../src/base/log.js'

const started = await startEvmDevnet()

/** Why the tests on real contracts cannot run here, or undefined. */
export const missing: string | undefined = started.kind === 'missing' ? started.reason : undefined
if (missing !== undefined) console.warn(`NOT RUN, tests on the real tBTC contracts: ${missing}`)

/** The devnet, stopped after the file's tests. */
export function tbtc(): { readonly devnet: EvmDevnet; readonly proxy: FaultProxy } {
  if (started.kind === 'missing') throw new Error(started.reason)
  const { devnet } = started
  let proxy: FaultProxy | undefined
  beforeAll(async () => {
    proxy = await startFaultProxy(devnet.url)
  })
  afterAll(async () => {
    await proxy?.stop()
    await devnet.stop()
  })
  return {
    devnet,
    get proxy() {
      if (proxy === undefined) throw new Error('the proxy is not started yet')
      return proxy
    },
  }
}

export type Warning = {
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** A log that keeps its warnings. */
export function keptWarnings(): { readonly log: Logger; readonly warnings: Warning[] } {
  const warnings: Warning[] = []
  return {
    log: { info: () => undefined, warn: (fields, message) => warnings.push({ fields, message }) },
    warnings,
  }
}

/** 32 equal bytes as a private key. */
export const secretOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
