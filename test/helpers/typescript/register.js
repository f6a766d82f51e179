// Lets Node.js 20 run TypeScript, as later ones do by themselves.
import { register } from 'node:module'

if (!process.features.typescript) register('./hooks.js', import.meta.url)
