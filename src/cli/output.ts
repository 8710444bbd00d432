import { type HoldfastError, isHoldfastError } from '../base/errors.js'

/** Where a command writes: results on standard output, everything else on standard error. */
export type Output = {
  /** Print results and errors as one JSON document. */
  readonly json: boolean
  /** Say nothing on standard error but failures. */
  readonly quiet: boolean
}

/** Rows of text under column names. */
export type Table = { readonly columns: readonly string[]; readonly rows: readonly string[][] }

/** Prints the one result of a command: the value as JSON, or the text that `render` makes for people. */
export async function printResult(
  output: Output,
  result: unknown,
  render: () => string | Promise<string>,
): Promise<void> {
  const text = output.json ? JSON.stringify(result) : await render()
  process.stdout.write(`${text}\n`)
}

/** Tells a person something that is not the result. */
export function note(output: Output, text: string): void {
  if (!output.quiet) process.stderr.write(`${text}\n`)
}

/** A bordered table on a terminal; lines with tabs, without the column names, elsewhere. */
export async function renderTable({ columns, rows }: Table): Promise<string> {
  if (process.stdout.isTTY !== true) return rows.map((row) => row.join('\t')).join('\n')
  const { default: Table } = await import('cli-table3')
  const noRules = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' }
  const style = { head: [], border: [] }
  const table = new Table({ head: [...columns], style, chars: noRules })
  table.push(...rows)
  return table.toString()
}

/** One `name: value` line per fact, values in one column on a terminal. */
export function renderFacts(facts: readonly (readonly [string, string])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 1
  return facts.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}`).join('\n')
}

/** Prints a failure: as the one JSON document, or code, message and remedy for people. */
export function printFailure(output: Output, error: unknown): void {
  const { code, message, retry, remedy } = describe(error)
  const cause = causeOf(error)
  if (output.json) {
    const fields = { code, message, retry, remedy, ...(cause === undefined ? {} : { cause }) }
    process.stdout.write(`${JSON.stringify({ error: fields })}\n`)
    return
  }
  const reason = cause === undefined ? '' : `\n  because: ${cause}`
  process.stderr.write(`${code}: ${message}${reason}\n  ${remedy}\n`)
}

function describe(error: unknown): Pick<HoldfastError, 'code' | 'message' | 'retry' | 'remedy'> {
  if (isHoldfastError(error)) return error
  return {
    code: 'Unexpected',
    message: error instanceof Error ? error.message : 'something that is no error was thrown',
    retry: 'after-fix',
    remedy: 'Run "holdfast doctor"; if it finds nothing, report this as a bug.',
  }
}

/** The innermost reason, which names the file or the system call that failed. */
function causeOf(error: unknown): string | undefined {
  let reason: string | undefined
  let at = error instanceof Error ? error.cause : undefined
  for (let depth = 0; depth < 8 && at instanceof Error; depth += 1) {
    reason = at.message
    at = at.cause
  }
  return reason
}
