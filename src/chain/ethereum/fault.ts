import type { ChainFault, RegistryFault } from './reader.js'

/** Characters of a foreign text that are repeated. */
const foreignTextMax = 200
/** JSON-RPC codes of "no such method". */
const unknownMethodCodes: readonly unknown[] = [-32601, -32004]
/** What nodes say of a call that ran and failed; the code alone does not tell, only 3 is always a revert. */
const executionFailed =
  /revert|EVM error|VM execution|invalid opcode|out of gas|stack (?:under|over)flow|bad jump|invalid jump/i

/** Why an endpoint gave no usable answer. */
export type EndpointFault<Fault extends ChainFault = ChainFault> = {
  readonly kind: 'fault'
  readonly fault: Fault
  /** For people, on one line; holds nothing of the endpoint's URL. */
  readonly detail: string
  /** The endpoint does not offer this method. */
  readonly isUnknownMethod?: boolean
}

/** What an endpoint says, or why it says nothing usable. */
export type Answer<T, Fault extends ChainFault = ChainFault> =
  | { readonly kind: 'known'; readonly value: T }
  | EndpointFault<Fault>

export const known = <T>(value: T): { readonly kind: 'known'; readonly value: T } => ({
  kind: 'known',
  value,
})

export function faultOf<Fault extends ChainFault>(
  fault: Fault,
  detail: string,
): EndpointFault<Fault> {
  return { kind: 'fault', fault, detail }
}

/**
 * Names the fault behind an error of the client library.
 *
 * @remarks An answer of the node is looked for first: what lies around it differs from version to version. Library
 * texts hold the URL with its key, so none is repeated; of the node's own text `conceal` takes such parts out.
 */
export function requestFault(
  error: unknown,
  conceal: (text: string) => string,
): EndpointFault<RegistryFault> {
  const causes = causesOf(error)
  const named = (name: string): Cause | undefined => causes.find((cause) => cause.name === name)
  const rpc = named('RpcRequestError')
  if (rpc !== undefined) return rpcFault(rpc, conceal)
  if (named('TimeoutError') !== undefined) return faultOf('timeout', 'no answer in time')
  if (named('ResponseBodyTooLargeError') !== undefined) {
    return faultOf('bad-data', 'the answer is too large')
  }
  if (named('HttpRequestError') === undefined) {
    return faultOf('bad-data', 'the answer is no JSON-RPC answer')
  }
  const status = causes.map((cause) => cause.status).find((one) => typeof one === 'number')
  if (status !== undefined) return faultOf('http', `HTTP status ${status}`)
  if (named('SyntaxError') !== undefined) return faultOf('bad-data', 'the answer is no JSON')
  const code = causes.map((cause) => cause.code).findLast((one) => typeof one === 'string')
  return faultOf('connection', `the connection failed${code === undefined ? '' : ` (${code})`}`)
}

function rpcFault(
  { code, details }: Cause,
  conceal: (text: string) => string,
): EndpointFault<RegistryFault> {
  const text = typeof details === 'string' ? conceal(oneLine(details)) : ''
  const shown = text === '' ? '' : `: ${text}`
  if (code === 3 || executionFailed.test(text)) return faultOf('revert', `the call failed${shown}`)
  const number = typeof code === 'number' ? ` ${code}` : ''
  return {
    ...faultOf('rpc', `JSON-RPC error${number}${shown}`),
    isUnknownMethod: unknownMethodCodes.includes(code),
  }
}

type Cause = {
  readonly name?: unknown
  readonly code?: unknown
  readonly status?: unknown
  readonly details?: unknown
  readonly cause?: unknown
}

/** The error and what lies below it, outermost first. */
function causesOf(error: unknown): readonly Cause[] {
  const causes: Cause[] = []
  let at = error
  while (typeof at === 'object' && at !== null && causes.length < 16) {
    const cause: Cause = at
    causes.push(cause)
    at = cause.cause
  }
  return causes
}

function oneLine(text: string): string {
  return text
    .slice(0, foreignTextMax)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
}
