import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requestJson } from '../../devnet/request-json.js'
import { honestThreshold } from '../../devnet/requests.js'
import { devnetDomain } from '../../devnet/stack-files.js'
import { toHex } from '../../src/base/bytes.js'
import type { StepResult } from '../../src/covenant/job.js'
import type { SubmitInput } from '../../src/covenant/request.js'
import type { RunFaultPoint } from '../../src/covenant/run.js'
import { program } from '../cli/command.js'
import type { Nonce } from './key-signer.js'
import { type Chains, chainTimeoutMs, nodeTrustRoots } from './node.js'

export type KilledJob = {
  readonly chains: Chains
  readonly dataDir: string
  readonly input: SubmitInput
  /** 32 bytes; a test key. */
  readonly secret: Uint8Array
  readonly nonce: Nonce
  /** Where the process dies; without one it lives to the job's end. */
  readonly point: RunFaultPoint | undefined
  readonly minConfirmations: number
}

/** What a process showed before it ended. */
export type Life = {
  readonly signal: NodeJS.Signals | null
  /** Every digest that its signer was asked to sign. */
  readonly sighashes: readonly string[]
  readonly answers: readonly StepResult[]
  readonly stderr: string
}

const script = fileURLToPath(new URL('killed-job.mjs', import.meta.url))
const sourceFolder = new URL('../../src/', import.meta.url).href
const builtFolder = new URL('../../dist/', import.meta.url).href

/** Submits one job to a node in a process of its own that is killed at a point of it. */
export async function killedJob({ input, secret, ...options }: KilledJob): Promise<Life> {
  const body = join(options.dataDir, '..', `${input.routeRequestId}.json`)
  writeFileSync(body, requestJson(input))
  const { chainId, salt } = devnetDomain
  const isSource = program.includes('--import')
  const config = {
    ...{ ...options, body, secret: toHex(secret), honestThreshold, chainTimeoutMs },
    code: isSource ? sourceFolder : builtFolder,
    domain: { chainId: String(chainId), salt },
    trustRoots: nodeTrustRoots,
  }
  const loader = isSource ? ['--import', import.meta.resolve('tsx')] : []
  const args = [...loader, script, JSON.stringify(config)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  await once(child, 'close')
  const told = (word: string): readonly unknown[] =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => JSON.parse(line.slice(word.length)))
  const signed = told('SIGN') as readonly { readonly sighash: string }[]
  return {
    signal: child.signalCode,
    sighashes: signed.map(({ sighash }) => sighash),
    answers: told('ANSWER') as readonly StepResult[],
    stderr,
  }
}
