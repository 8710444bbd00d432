import { isHoldfastError } from '../base/errors.js'
import type { Problem } from './problem.js'
import type { TrustRootLists } from './settings.js'

/** Throws a `HoldfastError` for lists that break a rule: `parseTrustRoots` of the covenant room. */
export type CheckTrustRoots = (lists: TrustRootLists) => unknown

/** Entries of one list that are told of. */
const toldMax = 20

const none: TrustRootLists = {
  migrationPlanQuoteTrustRoots: [],
  depositorTrustRoots: [],
  custodianTrustRoots: [],
}

/** Every entry that breaks a rule, list by list; where each alone is good, the first that clashes. */
export function trustRootProblems(
  lists: TrustRootLists,
  check: CheckTrustRoots,
): readonly Problem[] {
  return [
    ...problemsOf('migrationPlanQuoteTrustRoots', lists.migrationPlanQuoteTrustRoots, check),
    ...problemsOf('depositorTrustRoots', lists.depositorTrustRoots, check),
    ...problemsOf('custodianTrustRoots', lists.custodianTrustRoots, check),
  ]
}

function problemsOf<Name extends keyof TrustRootLists>(
  name: Name,
  entries: TrustRootLists[Name],
  check: CheckTrustRoots,
): readonly Problem[] {
  const whole = complaint({ ...none, [name]: entries }, check)
  if (whole === undefined) return []
  const alone: string[] = []
  for (const [index, entry] of entries.entries()) {
    const found = complaint({ ...none, [name]: [entry] }, check)
    if (found !== undefined) alone.push(found.replace(`${name}[0]`, `${name}[${index}]`))
    if (alone.length === toldMax) break
  }
  return (alone.length > 0 ? alone : [whole]).map(toProblem)
}

function complaint(lists: TrustRootLists, check: CheckTrustRoots): string | undefined {
  try {
    check(lists)
    return undefined
  } catch (error) {
    if (isHoldfastError(error)) return error.message
    throw error
  }
}

function toProblem(message: string): Problem {
  const [name = '', ...wrong] = message.split(': ')
  const remedy = 'Correct the entry; an operator pins these keys, requests cannot.'
  return { key: `covenantSigner.${name}`, kind: 'refused', wrong: wrong.join(': '), remedy }
}
