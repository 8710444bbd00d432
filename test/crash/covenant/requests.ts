import { encodeSubmit, makeSubmit, type SubmitOptions } from '../../covenant/factory.js'
import type { WireRequest } from './life.mjs'

/**
 * Four requests that between them see every way a job can go: one is signed, one has to wait before it is signed, one
 * wants the first one's outpoint for another transaction, one is refused before anything is signed.
 */
export function requestsNamed(prefix: string): readonly WireRequest[] {
  const first = makeSubmit({ seed: `${prefix}-signs` })
  const { activeOutpoint } = first.request
  return [
    wire(1, { seed: `${prefix}-signs` }),
    wire(1, { seed: `${prefix}-defers`, route: 'qc_v1' }),
    wire(2, { seed: `${prefix}-rival`, activeOutpoint, edit: payLess }),
    wire(2, { seed: `${prefix}-fails`, action: 'REDEEM' }),
  ]
}

const payLess: NonNullable<SubmitOptions['edit']> = ({ migrationTransactionPlan: plan }) => {
  if (!plan) throw new RangeError('request: want a plan')
  plan.destinationValueSats -= 1000n
  plan.feeSats += 1000n
}

function wire(round: number, options: SubmitOptions): WireRequest {
  const input = makeSubmit(options)
  const name = String(options.seed)
  const body = new TextDecoder().decode(encodeSubmit(input))
  return { name, round, route: options.route ?? 'self_v1', body }
}
