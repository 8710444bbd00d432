import { devnetTrustRoots, honestThreshold } from '../../devnet/requests.js'
import { devnetDomain } from '../../devnet/stack-files.js'
import { fromHex } from '../../src/base/bytes.js'
import type { FaultPoints } from '../../src/base/fault-points.js'
import type { Logger } from '../../src/base/log.js'
import { bitcoinReader } from '../../src/chain/bitcoin/combined.js'
import type { BitcoinReader } from '../../src/chain/bitcoin/reader.js'
import { bitcoinSource } from '../../src/chain/bitcoin/source.js'
import { type EthereumReader, ethereumReader } from '../../src/chain/ethereum/ethereum-reader.js'
import type { Job, RequestId, StepResult } from '../../src/covenant/job.js'
import type { Route, SubmitInput } from '../../src/covenant/request.js'
import { type CovenantService, openCovenantService } from '../../src/covenant/service.js'
import type { CovenantSettings } from '../../src/covenant/settings.js'
import type { Signer } from '../../src/covenant/signer.js'
import { signingEngine } from '../../src/covenant/signing-engine.js'
import type { JobStore } from '../../src/covenant/store.js'
import { parseTrustRoots } from '../../src/covenant/trust.js'
import { type HoldfastWithJobs, openHoldfast } from '../../src/holdfast.js'
import { some } from '../covenant/factory.js'

/** Where a node reads both chains; plain values, so that a process can be told. */
export type Chains = {
  readonly ethereumUrl: string
  readonly chainId: string
  readonly bridge: string
  readonly bitcoin: readonly {
    readonly url: string
    readonly user?: string
    /** Hex. */
    readonly password?: string
  }[]
}

export type NodeOptions = {
  readonly chains: Chains
  readonly dataDir: string
  readonly passphrase?: Uint8Array
  /** Default: new ones; they are closed with the node. */
  readonly readers?: Readers
  readonly signer: (holdfast: HoldfastWithJobs) => Signer | Promise<Signer>
  readonly faults?: FaultPoints
  readonly log?: Logger
  /** Milliseconds that a Bitcoin source is waited for; short where a test makes it hang. */
  readonly bitcoinTimeoutMs?: number
  readonly minConfirmations?: number
  readonly settings?: Partial<CovenantSettings>
  /** The runner does not run before `service.start()`. */
  readonly paused?: boolean
}

export type Readers = {
  readonly ethereum: EthereumReader
  readonly bitcoin: BitcoinReader
}

/** The covenant service over a data directory, with the real engine and the real readers. */
export type Node = {
  readonly service: CovenantService
  readonly store: JobStore
  readonly ethereum: EthereumReader
  submit(input: SubmitInput): Promise<StepResult>
  poll(input: SubmitInput, requestId: string): Promise<StepResult>
  job(requestId: string): Promise<Job>
  close(): Promise<void>
}

/** Milliseconds that a chain is waited for where nothing makes it hang: a busy machine is no outage. */
export const chainTimeoutMs = 20_000

const [self, qc] = [devnetTrustRoots('self_v1'), devnetTrustRoots('qc_v1')]
/** Whom a node trusts: depositor and custodian of the devnet. */
export const nodeTrustRoots = {
  depositorTrustRoots: [...self.depositorTrustRoots, ...qc.depositorTrustRoots],
  custodianTrustRoots: qc.custodianTrustRoots,
}

/** Readers of both chains over their real protocols. */
export function openReaders(chains: Chains, bitcoinTimeoutMs: number = chainTimeoutMs): Readers {
  const ethereum = ethereumReader({
    endpoints: [chains.ethereumUrl],
    bridgeAddress: chains.bridge,
    chainId: BigInt(chains.chainId),
    requestTimeoutMs: chainTimeoutMs,
    registryTimeoutMs: chainTimeoutMs,
  })
  const bitcoin = bitcoinReader(
    chains.bitcoin.map(({ password, ...source }) =>
      bitcoinSource({
        ...source,
        ...(password === undefined ? {} : { password: fromHex(password) }),
        network: 'regtest',
        requestTimeoutMs: bitcoinTimeoutMs,
      }),
    ),
  )
  return { ethereum, bitcoin }
}

export async function openNode(options: NodeOptions): Promise<Node> {
  const { chains, dataDir, passphrase, faults, log, minConfirmations } = options
  const holdfast = await openHoldfast({
    dataDir,
    jobs: {},
    ...(passphrase === undefined ? {} : { passphrase }),
  })
  const signer = await options.signer(holdfast)
  const { ethereum, bitcoin } = options.readers ?? openReaders(chains, options.bitcoinTimeoutMs)
  const engine = signingEngine({
    ...{ wallets: ethereum, bitcoin, signer, domain: devnetDomain, honestThreshold },
    gate: { confirmed: true, bridgeAddress: chains.bridge },
    ...(minConfirmations === undefined ? {} : { minConfirmations }),
  })
  const store = holdfast.jobs
  const service = openCovenantService({
    ...{ store, engine, signer, domain: devnetDomain },
    trustRoots: parseTrustRoots(nodeTrustRoots),
    settings: { retryMinMs: 20, retryMaxMs: 100, nudgeEveryMs: 0, ...options.settings },
    ...(faults === undefined ? {} : { faults }),
    ...(log === undefined ? {} : { log }),
  })
  if (!options.paused) service.start()
  return {
    ...{ service, store, ethereum },
    submit: (input) => service.submit(input, input.request.route as Route),
    poll: (input, requestId) => service.poll({ ...input, requestId }, input.request.route as Route),
    async job(requestId) {
      const found = await store.find(requestId as RequestId)
      return some(found.kind === 'found' ? found.job : undefined)
    },
    async close() {
      await service.stop()
      await bitcoin.close()
      await holdfast.close()
    },
  }
}
