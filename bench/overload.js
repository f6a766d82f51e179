// What overload does to response times: open-loop load at a fixed arrival rate, on this plugin and on the
// ways people run tasks today. Minutes; `--scenario NAME` (repeatable) runs a part, `--poisson` has
// requests come as independent clients send them (printed, not saved), `--plot` only draws.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { plot } from './overload/plot.js'
import { markdown } from './overload/report.js'
import { about, load, save } from './overload/results.js'
import { runScenario } from './overload/run.js'
import { scenarios } from './overload/scenarios.js'
import { judge } from './overload/targets.js'

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true, default: Object.keys(scenarios) },
    poisson: { type: 'boolean', default: false },
    plot: { type: 'boolean', default: false }
  }
})

const { node, machine, versions } = about()
if (!values.plot) {
  console.log(`Node ${node}, ${machine}, ${Object.entries(versions).map(pair => pair.join(' ')).join(', ')}\n`)
  for (const name of values.scenario) {
    if (scenarios[name] === undefined) {
      throw new Error(`expected one of ${Object.keys(scenarios).join(', ')}, got ${name}`)
    }
    const result = await runScenario(scenarios[name], { isPoisson: values.poisson })
    result.targets = judge(name, result)
    console.log(markdown(scenarios[name].title, result) + '\n')
    if (!values.poisson) save({ [name]: result })
  }
}
const results = load()
const sweep = results?.scenarios.sweep
if (sweep !== undefined && !values.poisson) {
  writeFileSync(new URL('../docs/overload.svg', import.meta.url), plot(sweep, results))
}
