import { defineHandler } from 'nitro/h3'
import { scenarios } from '../../scenarios.js'

export default defineHandler(async event => {
  const { tasks, finish } = scenarios[event.context.params.scenario]
  await event.req.json()
  for (const task of tasks) event.waitUntil(task())
  return finish()
})
