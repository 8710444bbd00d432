// The compiler does not keep the executable bit of the command's entry file.
import { chmodSync, existsSync } from 'node:fs'

const entry = 'dist/cli/main.js'
if (existsSync(entry)) chmodSync(entry, 0o755)
