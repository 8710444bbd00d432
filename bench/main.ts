// Figures as ratios to a limit or a peer in the same run: npm run bench -- wallet
import { benchWallet } from './wallet.js'

/** One line of a report: what was measured, its bound, and whether it holds. */
export type Figure = {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly bound: { readonly kind: 'at most' | 'at least'; readonly value: number }
  readonly detail: string
}

const suites: Readonly<Record<string, () => Promise<readonly Figure[]>>> = { wallet: benchWallet }

const names = process.argv.slice(2).filter((arg) => !arg.startsWith('-'))
const unknown = names.filter((name) => suites[name] === undefined)
if (names.length === 0 || unknown.length > 0) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(suites).join('|')}\n`)
  process.exit(2)
}
let missed = 0
for (const name of names) {
  for (const figure of (await suites[name]?.()) ?? []) {
    const { kind, value: bound } = figure.bound
    const holds = kind === 'at most' ? figure.value <= bound : figure.value >= bound
    if (!holds) missed++
    const shown = `${figure.value.toFixed(2)} ${figure.unit}`.padEnd(12)
    process.stdout.write(
      `${holds ? 'ok    ' : 'MISSED'} ${figure.what.padEnd(52)} ${shown} ${kind} ${bound}   ${figure.detail}\n`,
    )
  }
}
process.exitCode = missed === 0 ? 0 : 1
