import { setImmediate as turn } from 'node:timers/promises'
import type { FaultPoints } from '../../src/base/fault-points.js'
import type { Logger } from '../../src/base/log.js'
import type { Job, StepResult } from '../../src/covenant/job.js'
import type { PollInput, Route, SubmitInput } from '../../src/covenant/request.js'
import { type CovenantService, openCovenantService } from '../../src/covenant/service.js'
import type { CovenantSettings } from '../../src/covenant/settings.js'
import type { JobStore } from '../../src/covenant/store.js'
import { noTrustRoots, type TrustRoots } from '../../src/covenant/trust.js'
import { type MemoryJobDisk, memoryJobDisk, memoryJobStore } from '../../src/store/memory-jobs.js'
import { type ManualTime, manualTime } from '../../src/testing/manual-time.js'
import { type ScriptedEngine, scriptedEngine } from '../../src/testing/scripted-engine.js'
import { type ScriptedSigner, scriptedSigner } from '../../src/testing/scripted-signer.js'
import {
  keys,
  makeSubmit,
  type SubmitOptions,
  some,
  testDomain,
  testHeight,
  testKey,
  testNowMs,
} from './factory.js'

/** Wallets that the tests' signer holds, besides `keys.signer`. */
export const wallets = [keys.signer, testKey(0x51), testKey(0x52), testKey(0x53)] as const

export type WorldOptions = {
  readonly engine?: ScriptedEngine
  readonly signer?: ScriptedSigner
  readonly trustRoots?: TrustRoots
  readonly settings?: Partial<CovenantSettings>
  readonly faults?: FaultPoints
  readonly storeFaults?: FaultPoints
  /** Leaves the runner idle. */
  readonly paused?: boolean
}

type Said = { readonly fields: Readonly<Record<string, unknown>>; readonly message: string }

/** A covenant service over a store in memory, with engine, signer, clock and timers in a test's hand. */
export class World {
  readonly time: ManualTime = manualTime(testNowMs)
  readonly engine: ScriptedEngine
  readonly signer: ScriptedSigner
  readonly said: Said[] = []
  readonly #options: WorldOptions
  readonly disk: MemoryJobDisk = memoryJobDisk()
  store: JobStore
  service: CovenantService

  constructor(options: WorldOptions = {}) {
    this.#options = options
    this.engine = options.engine ?? scriptedEngine({ heightBlocks: testHeight, verifies: false })
    this.signer = options.signer ?? scriptedSigner({ secrets: wallets.map(({ secret }) => secret) })
    this.store = this.#openStore()
    this.service = this.openService()
  }

  #openStore(): JobStore {
    const { storeFaults } = this.#options
    const faults = storeFaults === undefined ? {} : { faults: storeFaults }
    return memoryJobStore({ disk: this.disk, clock: this.time, ...faults })
  }

  /** Another service over the same store and doubles. */
  openService(changes: Partial<WorldOptions> = {}): CovenantService {
    const { trustRoots = noTrustRoots, settings, faults, paused } = { ...this.#options, ...changes }
    const say = (fields: Said['fields'], message: string): void =>
      void this.said.push({ fields, message })
    const log: Logger = { info: say, warn: say }
    const service = openCovenantService({
      store: this.store,
      engine: changes.engine ?? this.engine,
      signer: this.signer,
      trustRoots,
      domain: testDomain,
      clock: this.time,
      scheduler: this.time,
      log,
      ...(settings === undefined ? {} : { settings }),
      ...(faults === undefined ? {} : { faults }),
    })
    if (!paused) service.start()
    return service
  }

  /** What a dead process leaves: the store is opened again from its disk, under a new service. */
  async reopen(changes: Partial<WorldOptions> = {}): Promise<void> {
    await this.store.close()
    this.store = this.#openStore()
    this.service = this.openService(changes)
  }

  submit(input: SubmitInput, signal?: AbortSignal): Promise<StepResult> {
    return this.service.submit(input, input.request.route as Route, signal)
  }

  /** Submits, and moves time until there is an answer. */
  accept(options: SubmitOptions = {}): Promise<StepResult> {
    return this.drive(this.submit(makeSubmit(options)))
  }

  poll(input: SubmitInput, requestId: string): Promise<StepResult> {
    return this.service.poll(pollOf(input, requestId), input.request.route as Route)
  }

  async job({ requestId }: Pick<StepResult, 'requestId'>): Promise<Job> {
    const found = await this.store.find(requestId as Job['requestId'])
    return some(found.kind === 'found' ? found.job : undefined)
  }

  async jobs(): Promise<readonly Job[]> {
    return this.store.list({ limit: 10_000 })
  }

  /** Lets everything run that needs no time to pass. */
  async quiet(): Promise<void> {
    for (let at = 0; at < 3; at++) await turn()
  }

  /** Moves time from timer to timer until the work has ended. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    work.then(over, over)
    await this.quiet()
    for (let steps = 0; !isOver && steps < 100_000; steps++) {
      this.time.step()
      await this.quiet()
    }
    return work
  }

  /** Moves time from timer to timer until the condition holds; a test fails when it never does. */
  async until(condition: () => Promise<boolean> | boolean, steps = 20_000): Promise<void> {
    await this.quiet()
    for (let step = 0; step < steps; step++) {
      if (await condition()) return
      // What the look set going ends before time moves, or its time limits would end it.
      await this.quiet()
      this.time.step()
      await this.quiet()
    }
    throw new RangeError('test: the condition never came to hold')
  }
}

/** The poll that resends a submit. */
export function pollOf(input: SubmitInput, requestId: string): PollInput {
  return { ...input, requestId }
}

/** The error that a promise rejects with; a test fails when it resolves. */
export async function refusal(work: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  try {
    await work
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
  throw new RangeError('test: the call was not refused')
}
