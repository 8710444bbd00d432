import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished, vi } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../devnet/fault-proxy-http.js'
import { startTcpFaultProxy, type TcpFaultProxy } from '../../devnet/fault-proxy-tcp.js'
import { type Covenant, covenantRequest, type RequestOptions } from '../../devnet/requests.js'
import { type DevnetStack, startDevnetStack } from '../../devnet/stack.js'
import { devnetDomain } from '../../devnet/stack-files.js'
import { toHex } from '../../src/base/bytes.js'
import { isFinal, type Job } from '../../src/covenant/job.js'
import type { SubmitInput } from '../../src/covenant/request.js'
import type { Chains, Node } from './node.js'

const started = await startDevnetStack()

/** Why the tests on the devnet cannot run here, or undefined. */
export const missing: string | undefined = started.kind === 'missing' ? started.reason : undefined
if (missing !== undefined) console.warn(`NOT RUN, tests of whole jobs on the devnet: ${missing}`)

/** The devnet with a fault proxy before each chain, stopped after the file's tests. */
export type World = {
  readonly stack: DevnetStack
  readonly ethereum: FaultProxy
  readonly bitcoin: TcpFaultProxy
  /** Through the proxies. */
  readonly chains: Chains
  /** A request that spends a covenant; the same name is the same request. */
  request(covenant: Covenant, options?: Partial<RequestOptions>): SubmitInput
}

export function devnet(): World {
  if (started.kind === 'missing') throw new Error(started.reason)
  const { stack } = started
  let proxies: { readonly ethereum: FaultProxy; readonly bitcoin: TcpFaultProxy } | undefined
  beforeAll(async () => {
    const bitcoinPort = Number(new URL(stack.bitcoin.rpcUrl).port)
    proxies = {
      ethereum: await startFaultProxy(stack.evm.url),
      bitcoin: await startTcpFaultProxy(bitcoinPort),
    }
  })
  afterAll(async () => {
    await proxies?.ethereum.stop()
    await proxies?.bitcoin.stop()
    await stack.stop()
  })
  const there = (): NonNullable<typeof proxies> => {
    if (proxies === undefined) throw new Error('the proxies are not started yet')
    return proxies
  }
  let requests = 0
  return {
    stack,
    get ethereum() {
      return there().ethereum
    },
    get bitcoin() {
      return there().bitcoin
    },
    get chains() {
      const { ethereum, bitcoin } = there()
      const { user, password } = stack.bitcoin
      return {
        ethereumUrl: ethereum.url,
        chainId: String(stack.evm.chainId),
        bridge: stack.evm.bridge,
        bitcoin: [{ url: `http://127.0.0.1:${bitcoin.port}`, user, password: toHex(password) }],
      }
    },
    request(covenant, options = {}) {
      requests += 1
      const { wallet } = stack
      const name = `job_${requests}`
      return covenantRequest({ covenant, wallet, name, domain: devnetDomain, ...options })
    },
  }
}

/** A folder that goes away with the test, or with the file when it is made outside of one. */
export function folder(remove: (clean: () => void) => void = onTestFinished): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-devnet-job-'))
  remove(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The job when it has come to its end. */
export function settled({ job }: Pick<Node, 'job'>, requestId: string): Promise<Job> {
  return vi.waitFor(
    async () => {
      const found = await job(requestId)
      if (!isFinal(found.state)) throw new Error(`job is ${found.state}: ${found.detail}`)
      return found
    },
    { interval: 20, timeout: 15_000 },
  )
}
