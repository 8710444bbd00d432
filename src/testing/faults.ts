import type { FaultPoints } from '../base/fault-points.js'
import type { PersistenceKind } from '../base/persistence.js'

/** What happens at a point: an error of that kind, a wait until `release`, or a signal to this very process. */
export type FaultAction = 'transient' | 'constraint' | 'fatal' | 'hang' | 'kill' | 'stop'

export type FaultRule = {
  readonly point: string
  /** Counts from 1; left out: every time. */
  readonly nth?: number
  readonly action: FaultAction
}

/** Fault points that follow a script and remember what was reached. */
export interface ScriptedFaults extends FaultPoints {
  /** Every point reached so far, in order. */
  readonly reached: readonly string[]
  /** Resolves when a `hang` at this point has begun. */
  hanging(point: string): Promise<void>
  /** Lets every hang at this point go on, and later ones pass. */
  release(point: string): void
}

/** Rows of the smallest wallet: its own, an account, a pool, its sync state. */
const rowsMin = 4
/** Steps that recovery counts, at least. */
const recoverStepsMin = 1

const numbered = (name: string, upTo: number): string[] =>
  Array.from({ length: upTo }, (_, at) => `${name}:${at + 1}`)

/** Every place where a registration can be made to fail; rows and recovery steps go on counting in larger wallets. */
export const faultPointNames: readonly string[] = [
  'reserve.before',
  'reserve.after',
  'secret.stage.before',
  'secret.stage.after',
  'restore.read',
  'restore.provider',
  'promote.begin',
  ...numbered('promote.row', rowsMin),
  'promote.beforeCommit',
  'promote.commitError',
  'promote.afterCommit',
  'publish.after',
  'secret.finalise.before',
  'secret.finalise.after',
  'discard.before',
  ...numbered('recover.step', recoverStepsMin),
]

const codes: Readonly<Record<'transient' | 'constraint' | 'fatal', string>> = {
  transient: 'SQLITE_BUSY',
  constraint: 'SQLITE_CONSTRAINT',
  fatal: 'SQLITE_INTERNAL',
}

/**
 * Makes the product fail, stop or die at named points.
 *
 * @throws RangeError at a `hang` inside an uninterrupted block: use `stop` in a child process there
 */
export function scriptedFaults(script: FaultRule | readonly FaultRule[] = []): ScriptedFaults {
  const rules = 'point' in script ? [script] : script
  const reached: string[] = []
  const hangs = new Map<string, Hang>()
  const hangAt = (point: string): Hang => {
    const known = hangs.get(point)
    if (known) return known
    const made = { begun: gate(), released: gate() }
    hangs.set(point, made)
    return made
  }
  const actionAt = (point: string): FaultAction | undefined => {
    reached.push(point)
    const times = reached.filter((name) => name === point).length
    const rule = rules.find((one) => one.point === point && (one.nth ?? times) === times)
    return rule?.action
  }
  return {
    reached,
    reach(point) {
      const action = actionAt(point)
      if (action === 'hang') throw new RangeError(`fault ${point}: cannot hang in a transaction`)
      if (action !== undefined) perform(point, action)
    },
    async pause(point) {
      const action = actionAt(point)
      if (action !== 'hang') {
        if (action !== undefined) perform(point, action)
        return
      }
      const hang = hangAt(point)
      hang.begun.open()
      await hang.released.opened
    },
    hanging: (point) => hangAt(point).begun.opened,
    release: (point) => hangAt(point).released.open(),
  }
}

type Gate = { readonly opened: Promise<void>; readonly open: () => void }
type Hang = { readonly begun: Gate; readonly released: Gate }

function gate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

function perform(point: string, action: Exclude<FaultAction, 'hang'>): void {
  if (action === 'kill') process.kill(process.pid, 'SIGKILL')
  else if (action === 'stop') process.kill(process.pid, 'SIGSTOP')
  else throw new InjectedFault(point, action)
}

/** The error of a scripted failure; it carries the kind that a store error of its sort would have. */
export class InjectedFault extends Error {
  readonly code: string
  readonly kind: PersistenceKind
  constructor(point: string, kind: 'transient' | 'constraint' | 'fatal') {
    super(`fault injected at ${point} (${kind})`)
    this.name = 'InjectedFault'
    this.code = codes[kind]
    this.kind = kind
  }
}
