import { isLoopback } from '../base/loopback.js'
import { type Config, ConfigRefused, type Problem } from '../config.js'
import type { Engine } from '../covenant/index.js'

type Abilities = Pick<Engine, 'heights' | 'verifySignerApproval'>

const rootLists = [
  'depositorTrustRoots',
  'custodianTrustRoots',
  'migrationPlanQuoteTrustRoots',
] as const

/**
 * Refuses settings that want more than the engine can do (covenant signer specification, 16.3: 7, 9 and 10).
 *
 * @returns what an operator should know
 * @throws ConfigRefused
 */
export function requireFit(
  { covenantSigner }: Pick<Config, 'covenantSigner'>,
  engine: Abilities,
): readonly string[] {
  if (engine.verifySignerApproval !== undefined) {
    if (engine.heights !== undefined) return []
    throw new RangeError('engine: it verifies signer approvals, want it to report heights too')
  }
  const problems = [...unmetDemands(covenantSigner), ...unusableRoots(covenantSigner)]
  if (problems.length > 0) throw new ConfigRefused(problems)
  return ['the engine verifies no signer approvals, and no trust root is pinned']
}

const cannot = 'while the engine cannot verify signer approvals'

function unmetDemands(signer: Config['covenantSigner']): readonly Problem[] {
  const problems: Problem[] = []
  if (signer.requireApprovalTrustRoots) {
    const remedy = 'Set it to false until a signing engine is there.'
    problems.push(refuse('requireApprovalTrustRoots', `true ${cannot}`, remedy))
  }
  if (!isLoopback(signer.listenAddress)) {
    const remedy = 'Listen on 127.0.0.1 until a signing engine is there.'
    problems.push(
      refuse('listenAddress', `it can be reached from other machines ${cannot}`, remedy),
    )
  }
  return problems
}

function unusableRoots(signer: Config['covenantSigner']): readonly Problem[] {
  const remedy = 'Leave the list out until a signing engine is there.'
  return rootLists
    .filter((list) => signer[list].length > 0)
    .map((list) => refuse(list, `set ${cannot}`, remedy))
}

function refuse(name: string, wrong: string, remedy: string): Problem {
  return { key: `covenantSigner.${name}`, kind: 'refused', wrong, remedy }
}
