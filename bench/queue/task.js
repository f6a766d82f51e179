import { Type } from '@sinclair/typebox'
import { defineTask } from '../../dist/lib/index.js'

export const payload = { to: 'somebody@example.com', template: 'welcome', user: 12345 }

/** Resolves each time so many more tasks have run. */
export class Finish {
  #left = 0
  #resolve

  expect (count) {
    this.#left = count
    return new Promise(resolve => { this.#resolve = resolve })
  }

  reach () {
    if (--this.#left === 0) this.#resolve()
  }
}

export function makeTask (finish) {
  return defineTask({
    name: 'mail',
    payload: Type.Object({ to: Type.String(), template: Type.String(), user: Type.Integer() }),
    run () { finish.reach() }
  })
}
