import { Dice } from '../soak/dice.js'

/** When each request is due, in ms from the start: evenly spaced, or as independent clients come (Poisson). */
export function arrivals ({ rate, seconds, seed }) {
  const dice = seed === undefined ? undefined : new Dice(seed)
  const gap = 1000 / rate
  const due = []
  for (let at = 0; at < seconds * 1000; at += dice === undefined ? gap : -Math.log(1 - dice.next()) * gap) due.push(at)
  return due
}
