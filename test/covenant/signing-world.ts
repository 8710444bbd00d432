import { setImmediate as turn } from 'node:timers/promises'
import type { FaultPoints } from '../../src/base/fault-points.js'
import { signerSetHash } from '../../src/covenant/digest.js'
import type { Engine } from '../../src/covenant/engine.js'
import type { Job, StepResult } from '../../src/covenant/job.js'
import type { Request, Route, SubmitInput } from '../../src/covenant/request.js'
import { type CovenantService, openCovenantService } from '../../src/covenant/service.js'
import { type SigningEngineDeps, signingEngine } from '../../src/covenant/signing-engine.js'
import type { JobStore } from '../../src/covenant/store.js'
import { noTrustRoots } from '../../src/covenant/trust.js'
import { memoryJobDisk, memoryJobStore } from '../../src/store/memory-jobs.js'
import { manualTime } from '../../src/testing/manual-time.js'
import { memoryBitcoin } from '../../src/testing/memory-bitcoin.js'
import { memoryEthereum } from '../../src/testing/memory-ethereum.js'
import { type ScriptedSigner, scriptedSigner } from '../../src/testing/scripted-signer.js'
import { draftOf, keys, type Mutable, seal, some, testDomain, testNowMs } from './factory.js'
import { fundedRequest, type SpendOptions } from './spends.js'

export const bridgeAddress = `0x${'b1'.repeat(20)}` as const
export const worldKeys = { D: keys.depositor, C: keys.custodian, S: keys.signer } as const

export type SigningWorldOptions = {
  readonly confirmed?: boolean
  readonly signer?: ScriptedSigner
  readonly faults?: FaultPoints
  readonly engine?: Partial<SigningEngineDeps>
}

/** The signing engine in a covenant service, over two chains, a signer and a store in memory. */
export class SigningWorld {
  readonly time = manualTime(testNowMs)
  readonly bitcoin = memoryBitcoin({ tip: 912_000 })
  readonly ethereum = memoryEthereum()
  readonly signer: ScriptedSigner
  readonly engine: Engine
  readonly #disk = memoryJobDisk()
  readonly #faults: FaultPoints | undefined
  readonly #signerSetHash: string
  store: JobStore
  service: CovenantService

  constructor(options: SigningWorldOptions = {}) {
    const { confirmed = true } = options
    this.signer = options.signer ?? scriptedSigner({ secrets: [keys.signer.secret] })
    this.#faults = options.faults
    const { walletId, registry } = this.ethereum.register(keys.signer.compressed)
    this.#signerSetHash = signerSetHash({
      walletId,
      walletPublicKey: keys.signer.uncompressed,
      membersIdsHash: registry.status === 'available' ? registry.membersIdsHash : '',
      honestThreshold: 51,
    })
    this.engine = signingEngine({
      wallets: this.ethereum,
      bitcoin: this.bitcoin,
      signer: this.signer,
      gate: { confirmed, bridgeAddress: confirmed ? bridgeAddress : undefined },
      domain: testDomain,
      honestThreshold: 51,
      ...options.engine,
    })
    this.store = memoryJobStore({ disk: this.#disk, clock: this.time })
    this.service = this.#open(this.#faults)
  }

  #open(faults: FaultPoints | undefined): CovenantService {
    const service = openCovenantService({
      store: this.store,
      engine: this.engine,
      signer: this.signer,
      trustRoots: noTrustRoots,
      domain: testDomain,
      clock: this.time,
      scheduler: this.time,
      ...(faults === undefined ? {} : { faults }),
    })
    service.start()
    return service
  }

  /** What a dead process leaves: a store opened again from its disk, under a new service without faults. */
  async reopen(): Promise<void> {
    await this.store.close()
    this.store = memoryJobStore({ disk: this.#disk, clock: this.time })
    this.service = this.#open(undefined)
  }

  /**
   * A sound submit whose covenant output is on the chain, as deep as asked for.
   *
   * @param depth confirmations; 0 is the mempool
   */
  fund(options: SpendOptions = {}, depth: number | 'absent' = 6): SubmitInput {
    const { funding, request } = fundedRequest({ keys: worldKeys, certificate: true, ...options })
    if (depth !== 'absent') {
      this.bitcoin.add(funding, depth === 0 ? undefined : this.bitcoin.tip - depth + 1)
    }
    const { seed = 1 } = options
    const input = { routeRequestId: `route_${seed}`, request, stage: 'SIGNER_COORDINATION' }
    return certified(input, this.#signerSetHash)
  }

  /** The submit's answer, with time moved until there is one. */
  async submit(input: SubmitInput): Promise<StepResult> {
    return this.drive(this.service.submit(input, input.request.route as Route))
  }

  /** As `submit`; the change happens when the request was accepted and nothing has been read for it. */
  async submitThen(input: SubmitInput, change: () => void): Promise<StepResult> {
    const hang = this.signer.script.controls.hangNext()
    const submitted = this.service.submit(input, input.request.route as Route)
    await hang.begun
    change()
    hang.release()
    return this.drive(submitted)
  }

  async drive<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    work.then(over, over)
    await this.#quiet()
    for (let steps = 0; !isOver && steps < 10_000; steps++) {
      this.time.step()
      await this.#quiet()
    }
    return work
  }

  /** Moves time from timer to timer until a job is final, or `steps` are over. */
  async settled(requestId: string, steps = 200): Promise<Job> {
    for (let step = 0; step < steps; step++) {
      await this.#quiet()
      const job = await this.job(requestId)
      if (['ARTIFACT_READY', 'HANDOFF_READY', 'FAILED'].includes(job.state)) return job
      this.time.step()
    }
    return this.job(requestId)
  }

  async job(requestId: string): Promise<Job> {
    const found = await this.store.find(requestId as Job['requestId'])
    return some(found.kind === 'found' ? found.job : undefined)
  }

  async #quiet(): Promise<void> {
    for (let at = 0; at < 4; at++) await turn()
  }
}

/** A submit whose request was changed, and sealed and certified again. */
export function changed(
  input: SubmitInput,
  change: (request: Mutable<Request>) => void,
): SubmitInput {
  const request = draftOf(input.request)
  change(request)
  seal(request, { certificate: true })
  return certified({ ...input, request }, some(input.request.signerApproval).signerSetHash)
}

/** The submit with the certificate of the wallet's signer set, which the wallet's signature does not cover. */
function certified(input: SubmitInput, signerSet: string): SubmitInput {
  const request = draftOf(input.request)
  some(request.signerApproval).signerSetHash = signerSet
  return { ...input, request }
}
